"""The oracles of gradient rules, by the names that rules register.

An oracle takes a case and a rule of the case's evaluator, and returns the largest relative deviation of the rule's
gradients from independently computed ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neko.registry import Registry
from neko.verification.cases import Case

ORACLES: Registry[Callable[[Case, Any], float]] = Registry("oracle", "neko.verification.oracles")
"""The oracles by name."""
