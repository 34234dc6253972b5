"""Pages for a browser: one file each, with its numbers, style and scripts, that asks for nothing else."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from importlib import resources
from typing import Any


def page(name: str, numbers: dict[str, Any]) -> bytes:
    """A page of the folder ``page``, with Plotly's library (about 5 MB) and its numbers.

    Raises
    ------
    ImportError
        Without the packages of the extra ``report``.
    """
    check_installed()
    from plotly.offline import get_plotlyjs

    folder = resources.files("neko.plots") / "page"

    def read(file: str) -> str:
        return (folder / file).read_text(encoding="utf-8")

    # Within a script "<" could end it.
    text = json.dumps(plain(numbers), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    script = read("shared.js") + read(f"{name}.js")
    parts = {"style": read("report.css"), "plotly": get_plotlyjs(), "numbers": text, "script": script}
    return re.sub(r"<!--(\w+)-->", lambda found: parts[found[1]], read(f"{name}.html")).encode()


def missing() -> list[str]:
    """The packages of the extra ``report`` that are not installed."""
    return [name for name in ("plotly", "pyarrow") if importlib.util.find_spec(name) is None]


def check_installed() -> None:
    """ImportError without the packages of the extra ``report``."""
    absent = missing()
    if absent:
        raise ImportError(f"a report needs {' and '.join(absent)}: pip install 'neko-learning[report]'", name=absent[0])


def plain(value: Any) -> Any:
    """A tree with numbers that JSON does not know as words."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
