"""Devices with the constants of published measurements and models."""

from neko.devices.presets.registry import PRESETS

__all__ = ["PRESETS"]
