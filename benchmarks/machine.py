"""On what a measurement ran."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "torch", "jax", "tensorflow", "numba")


def describe() -> dict[str, Any]:
    """Date, processor, cores, system and versions."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cpu": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def processor() -> str:
    """The processor's name and what of its vector instructions matters here."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or "unknown"
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    model = f", model {fields['model']}" if "model" in fields else ""
    vectors = [name for name in ("avx2", "avx512f", "amx_bf16") if name in fields.get("flags", "").split()]
    name, family = fields.get("model name", platform.machine()), fields.get("cpu family", "?")
    return f"{name} (family {family}{model}; {', '.join(vectors)})"


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
