"""Trains from the lines of a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from neko.devices.fitting.trains import Train

GAP = 10_000
"""Largest number of pulses between two measurements."""
PULSES = 2**25
"""Largest number of pulses of a file, of 16 bytes each: 512 MiB."""


def built(path: Path, rows: Sequence[tuple[int, int, float, float, str, str]]) -> list[Train]:
    """Trains from lines (line, pulse, conductance, direction, device, cycle)."""
    groups: list[list[tuple[int, int, float, float, str, str]]] = []
    for row in rows:
        last = groups[-1][-1] if groups else None
        if last is None or row[4:] != last[4:] or row[1] <= last[1]:
            groups.append([])
        elif row[1] - last[1] > GAP:
            raise ValueError(f"{path}, line {row[0]}: {row[1] - last[1]} pulses without a measurement: at most {GAP}")
        groups[-1].append(row)
    if (number := sum(group[-1][1] - group[0][1] for group in groups)) > PULSES:
        raise ValueError(f"{path} has {number:,} pulses: expected at most {PULSES:,}")
    return [train(path, group) for group in groups]


def train(path: Path, group: list[tuple[int, int, float, float, str, str]]) -> Train:
    """One train; pulses after which nothing was measured have the direction of the next line."""
    line, first, *_, device, cycle = group[0]
    if len(group) < 2:
        raise ValueError(
            f"{path}, line {line}: a train of one line, since the next one has another device or cycle, or a pulse "
            "that is not larger: expected two or more"
        )
    g, direction = np.full(group[-1][1] - first + 1, np.nan), np.zeros(group[-1][1] - first)
    g[0] = group[0][2]
    for before, row in pairwise(group):
        g[row[1] - first] = row[2]
        direction[before[1] - first : row[1] - first] = row[3]
    return Train(g, direction, device, cycle, line)


def paired(path: Path, rows: Sequence[tuple[int, list[float]]]) -> list[Train]:
    """A train up and one down, from the two columns of a table."""
    if len(rows) < 2:
        raise ValueError(f"{path}, line {rows[0][0]}: a train of one line: expected two or more")
    table = np.array([values for _, values in rows])
    pulses = np.ones(len(table) - 1)
    return [Train(table[:, k], sign * pulses, "", "", rows[0][0]) for k, sign in enumerate((1.0, -1.0))]
