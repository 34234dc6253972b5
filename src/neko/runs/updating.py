"""The update that a configuration describes: an optimizer, or pulses to devices."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from neko import backend as backends
from neko import devices
from neko.devices import IMPERFECTIONS, STORAGES, Device, Storage
from neko.registry import called, separated
from neko.runs.config import TrainConfig
from neko.updates import UPDATES, Analog

ABOUT = ("storage", "imperfections", "digital", "seconds")
"""Options that say more of a device."""


def update_options(config: TrainConfig) -> dict[str, Any]:
    """Options of a learning rule for its update.

    Raises
    ------
    ValueError
        For options that do not go together, unknown names, and options that a name does not have.
    """
    check_processor(config.device)
    name, options = called(config.optimizer)
    update = None if name in backends.OPTIMIZERS else UPDATES.get(name)
    if isinstance(update, type) and issubclass(update, Analog):
        return {"optimizer": pulses(update, options, config)}
    for option in ("device", *ABOUT):
        if (value := getattr(config, option)) is not None:
            known = [name for name, kind in UPDATES.items() if isinstance(kind, type) and issubclass(kind, Analog)]
            raise ValueError(
                f"{option}={value!r}: the optimizer {config.optimizer!r} sends no pulses to a device that is given: "
                f"expected one of {known!r}"
            )
    if isinstance(update, type) and hasattr(update, "init") and hasattr(update, "step") and name not in UPDATES:
        update = applied(f"optimizer={config.optimizer!r}", update, options)
    elif options:
        raise ValueError(f"optimizer={config.optimizer!r}: expected {name!r} alone, which has no options")
    return {"optimizer": name if update is None or name in UPDATES else update, "learning_rate": config.learning_rate}


def pulses(kind: type[Analog], options: dict[str, Any], config: TrainConfig) -> Analog:
    """An update by pulses, with the devices that are given."""
    text = f"optimizer={config.optimizer!r}"
    given: dict[str, Any] = {"device": held(config), "seconds": config.seconds}
    if config.digital is not None:
        given["digital"] = separated(config.digital)
    if config.learning_rate is not None:
        given[rate_name(kind, config)] = config.learning_rate
    given = {name: value for name, value in given.items() if value is not None}
    if twice := sorted(options.keys() & given.keys()):
        raise ValueError(f"{text}: {', '.join(twice)} is also an option of the run: expected it once")
    if isinstance(options.get("fast"), str):
        options["fast"] = devices.make(options["fast"])
    made: Analog = applied(text, kind, {"seed": config.seed, **options, **given})
    return made


def rate_name(kind: type[Analog], config: TrainConfig) -> str:
    """What the update calls the learning rate; ValueError if it has none."""
    if "learning_rate" in inspect.signature(kind).parameters:
        return "learning_rate"
    if config.device is None:
        return "delta"
    if config.digital is None:
        raise ValueError(
            f"learning_rate={config.learning_rate!r}: with a device the step is the device's: expected dg_min=… of the "
            "device, or digital parameters that have a rate"
        )
    return "digital_rate"


def held(config: TrainConfig) -> Device | Storage | None:
    """The devices that hold the weights, with their imperfections and how they store a weight."""
    if config.device is None:
        for name in ABOUT:
            if (value := getattr(config, name)) is not None:
                raise ValueError(
                    f"{name}={value!r}: expected also the device that it is about, as device='soft_bounds'"
                )
        return None
    found = devices.make(config.device)
    stored = found if isinstance(found, Storage) else None  # of a file
    device = found if stored is None else stored.device
    if config.imperfections is not None:
        own = [made(IMPERFECTIONS, text) for text in separated(config.imperfections)]
        device = dataclasses.replace(device, imperfections=(*device.imperfections, *own))
    if config.seconds is not None and not device.ages:
        raise ValueError(f"seconds={config.seconds!r}: expected a device that changes with time, by drift or decay")
    if config.storage is None:
        return device if stored is None else dataclasses.replace(stored, device=device)
    if stored is not None:
        raise ValueError(f"storage={config.storage!r}: {config.device} says already {type(stored).__name__}")
    return made(STORAGES, config.storage, device=device)


def made(registry: Any, text: str, **given: Any) -> Any:
    """What ``name`` or ``name(option=value, …)`` describes."""
    name, options = called(text)
    return applied(f"{registry.kind} {text!r}", registry.get(name), {**options, **given})


def applied(told: str, kind: Callable[..., Any], options: dict[str, Any]) -> Any:
    """A class called with options; ValueError for those that it does not have, or needs."""
    signature = inspect.signature(kind)
    try:
        signature.bind(**options)
    except TypeError as error:
        raise ValueError(f"{told}: {error}; it takes {', '.join(signature.parameters)}") from error
    return kind(**options)


def check_processor(device: str | None) -> None:
    """ValueError for a processor where a device of weights is asked for."""
    if device is not None and backends.is_processor(device):
        raise ValueError(
            f"device={device!r}: expected an analog device that holds the weights, one of {[*devices.DEVICES]!r}; "
            f"the processor that computes is chosen by processor={device!r} (--processor {device})"
        )
