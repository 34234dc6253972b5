"""A long training, with checkpoints and predictions, leaves nothing behind at a step.

Minutes suffice for a leak at each step, however small an array it is; that memory grows by less than 1 MiB an hour, an
hour shows: ``python -m benchmarks.soak --minutes 60``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import soak

from neko import backend as backends

LEAST = 4 * soak.UNITS**2
"""Bytes that a step may leave behind at most, those of the gradient of the recurrent weights: 4 KiB."""
MINUTES = 3.0


def test_the_slope_is_that_of_a_line_and_its_interval_holds_it():
    """Of 400 lines in noise the interval misses 20 in the mean; more than 44 by chance once in a million times."""
    seconds, rng = np.arange(0.0, 600.0), np.random.default_rng(0)
    found = [soak.slope(seconds, 3.0 * seconds / 3600.0 + rng.standard_normal(600)) for _ in range(400)]
    missed = sum(not line.low < 3.0 < line.high for line in found)
    assert 3 <= missed <= 44
    assert abs(np.mean([line.value for line in found]) - 3.0) < 5.0 * np.std([line.value for line in found]) / 20.0
    exact = soak.slope(seconds, 2.0 * seconds / 3600.0)
    assert exact.value == pytest.approx(2.0, abs=1e-9)
    assert exact.high - exact.low < 1e-9


def soaked(backend, tmp_path, *options):
    """Least and most bytes that a step leaves behind, in a process of its own."""
    table = tmp_path / "readings.csv"
    command = [sys.executable, "-m", "benchmarks.soak", "--backend", backend, "--readings", str(table), *options]
    place = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    steps = float(done.stdout.partition(" steps an hour")[0].rpartition(" ")[2].replace(",", ""))
    line = soak.slope(*np.loadtxt(table, delimiter=",", skiprows=1).T)
    return line.low * 2**20 / steps, line.high * 2**20 / steps


@pytest.mark.slow
@pytest.mark.parametrize("backend", backends.installed())
def test_a_step_leaves_nothing_behind(backend, tmp_path):
    """With a false alarm of 2.5 in 100 for a step that leaves `LEAST` bytes less the width of the interval behind."""
    least, most = soaked(backend, tmp_path, "--minutes", str(MINUTES))
    assert most < LEAST
    assert most - least < LEAST


@pytest.mark.slow
def test_a_step_that_leaves_something_behind_is_found(tmp_path):
    """The control."""
    least, most = soaked("torch", tmp_path, "--minutes", "1", "--leak", str(2 * LEAST))
    assert least > LEAST
    assert most < 4 * LEAST
