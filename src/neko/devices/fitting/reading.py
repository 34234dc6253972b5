"""Measured pulse trains from CSV files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from neko.arguments import as_path
from neko.devices.fitting.building import built, paired
from neko.devices.fitting.trains import Train
from neko.io import limited

LINES = 2**20
"""Lines of a file, of 64 bytes in the mean, which take up to 1 GiB of memory."""
UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "µS": 1e-6, "nS": 1e-9, "pS": 1e-12, "relative": 1.0}
"""Units of a column of conductances; ``relative`` stands for numbers without one."""
NEEDED = ("pulse", "conductance")
COLUMNS = (*NEEDED, "direction", "device", "cycle")
PAIR = ("up", "down")
"""Columns of a file that has the conductances after up and after down pulses side by side."""
DIRECTIONS = {"up": 1.0, "+1": 1.0, "1": 1.0, "1.0": 1.0, "down": -1.0, "-1": -1.0, "-1.0": -1.0}


class Pulses(NamedTuple):
    """Trains, and the unit of their conductances, one of `UNITS`."""

    trains: tuple[Train, ...]
    unit: str = "S"

    @property
    def relative(self) -> bool:
        """Whether the conductances have no unit."""
        return self.unit == "relative"


class Row(NamedTuple):
    """A line of a file: its number, and its fields by the names of `COLUMNS` or `PAIR`."""

    line: int
    fields: dict[str, str]


def read(
    path: str | Path,
    *,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    unit: str | None = None,
    direction: str | None = None,
) -> Pulses:
    """Measured pulse trains.

    The file has columns ``pulse`` (number of the pulse in its train) and ``conductance`` (measured after it), and may
    have ``direction`` (up, down, 1, -1), ``device`` and ``cycle``; others are ignored. Or it has the columns ``up`` and
    ``down``, conductances after each pulse of a train up and of one down. A train ends where the device or the cycle
    changes, or where pulses are counted from the beginning again; its first line is the state before its first pulse.

    Parameters
    ----------
    path : str or Path
        CSV with commas, semicolons or tabs, and a line of names.
    columns : dict or list of str, optional
        Names in the file of the columns above, ``{"pulse": "n", "conductance": "G"}``; or, of a file without names, its
        columns in order, ``["up", "down"]``.
    unit : str, optional
        S, mS, uS, nS or pS; or ``relative`` for numbers without a unit. Needed where the header has none, as in
        ``conductance (uS)``.
    direction : str, optional
        ``up`` or ``down``, of all pulses of a file without a column for it.

    Raises
    ------
    ValueError
        For a file that is not of that form, with the line; for a unit or direction that is not stated, and what to do.
    FileNotFoundError
        If there is no such file.
    """
    path = as_path("pulses", path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}: expected a CSV file with columns {list(NEEDED)!r}")
    if unit is not None and unit not in UNITS:
        raise ValueError(f"unit={unit!r}: expected one of {list(UNITS)!r}")
    if direction is not None and direction not in PAIR:
        raise ValueError(f"direction={direction!r}: expected 'up' or 'down'")
    rows, found = table(path, columns)
    unit = unit or found
    if unit is None:
        raise ValueError(
            f"{path}: no unit of the conductance; name the column 'conductance (uS)', or give unit='uS' (--unit uS), "
            "or unit='relative' for numbers without one"
        )
    names = rows[0].fields
    if set(PAIR) <= set(names):
        trains = paired(path, [(row.line, [number(path, row, name) for name in PAIR]) for row in rows])
    else:
        if "direction" not in names and direction is None:
            raise ValueError(
                f"{path}: no column 'direction'; add one with 'up' and 'down', or give direction='up' (--direction up)"
            )
        trains = built(path, [(row.line, *values(path, row, direction)) for row in rows])
    return Pulses(tuple(trains), unit)


def table(path: Path, columns: Mapping[str, str] | Sequence[str] | None) -> tuple[list[Row], str | None]:
    """The lines of a file with their fields by name, and the unit that its header states."""
    lines = [*islice(limited.rows(path, 64 * LINES), LINES + 1)]
    if len(lines) > LINES:
        raise ValueError(f"{path} has more than {LINES:,} lines: expected fewer, or several files")
    if columns is None or isinstance(columns, Mapping):
        header, lines = [name.strip() for name in (lines[0][1] if lines else [])], lines[1:]
        places, unit = from_header(path, header, dict(columns or {}))
    else:
        header = list(columns)
        places, unit = {name: k for k, name in enumerate(header)}, None
    if not (set(NEEDED) <= set(places) or set(PAIR) <= set(places)):
        raise ValueError(
            f"{path}: columns {header!r}: expected {list(NEEDED)!r} or {list(PAIR)!r}; if they have other names give "
            "columns={'pulse': …, 'conductance': …} (--columns pulse=…,conductance=…), and if the file has no line of "
            "names its columns in order (--columns up,down)"
        )
    for n, row in lines:
        if len(row) != len(header):
            raise ValueError(f"{path}, line {n}: {len(row)} columns: expected {len(header)}, {header!r}")
    if not lines:
        raise ValueError(f"{path} holds no pulses: expected a line for each conductance")
    return [Row(n, {name: row[k].strip() for name, k in places.items()}) for n, row in lines], unit


def from_header(path: Path, header: list[str], given: dict[str, str]) -> tuple[dict[str, int], str | None]:
    """The place of each known column in a line of names, and the unit in brackets behind the conductance."""
    if unknown := [name for name in given if name not in (*COLUMNS, *PAIR)]:
        raise ValueError(f"columns={unknown!r}: expected names of {[*COLUMNS, *PAIR]!r}")
    places, unit = {}, None
    for k, title in enumerate(header):
        name, found = re.fullmatch(r"(.*?)\s*(?:[(\[](\w+)[)\]])?", title).groups()  # type: ignore[union-attr]
        known = next((own for own, other in given.items() if other in (title, name)), None)
        known = known or (name.lower() if name.lower() in (*COLUMNS, *PAIR) and name.lower() not in given else None)
        if known is not None:
            places[known] = k
            unit = found if found in UNITS and known in ("conductance", *PAIR) else unit
    if missing := [other for own, other in given.items() if own not in places]:
        raise ValueError(f"{path} has no column {missing[0]!r}: expected one of {header!r}")
    return places, unit


def number(path: Path, row: Row, name: str) -> float:
    """A finite number of a line."""
    try:
        value = float(row.fields[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}, line {row.line}: {name} {row.fields[name]!r}: expected a finite number")
    return value


def values(path: Path, row: Row, direction: str | None) -> tuple[int, float, float, str, str]:
    """Pulse, conductance, direction, device and cycle of a line."""
    pulse = number(path, row, "pulse")
    if pulse != int(pulse) or pulse < 0:
        raise ValueError(f"{path}, line {row.line}: pulse {row.fields['pulse']!r}: expected an integer of at least 0")
    word = direction or row.fields["direction"].lower()
    if word not in DIRECTIONS:
        raise ValueError(f"{path}, line {row.line}: direction {word!r}: expected up, down, 1 or -1")
    fields = row.fields
    return (
        int(pulse),
        number(path, row, "conductance"),
        DIRECTIONS[word],
        fields.get("device", ""),
        fields.get("cycle", ""),
    )
