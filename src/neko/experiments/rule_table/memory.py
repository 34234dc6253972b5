"""The memory of a call, by the counters of Linux."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def raised(call: Callable[[], Any]) -> float | None:
    """MiB by which a call raises the highest resident memory of the process above what it holds before, as far as pages
    that the process had given back are counted; None where the system has no such counters."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        RESET.write_text("5")
        before = counter("VmRSS")
        call()
        return (counter("VmHWM") - before) / 1024.0
    except (OSError, AttributeError):
        return None


def counter(name: str) -> float:
    """A counter of the process in KiB."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(encoding="utf-8"), flags=re.M)
    if found is None:
        raise OSError(f"{STATUS} has no {name}")
    return float(found[1])
