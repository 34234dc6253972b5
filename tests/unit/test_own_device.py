"""The example of a device of one's own: what the page says of it holds, and every door takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from neko import devices
from neko.cli import app

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own_device.py"
NAME = f"{EXAMPLE}:MyDevice"


def test_the_page_shows_the_example_which_is_short():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    assert f"```python\n{text}```" in (ROOT / "docs" / "own_device.md").read_text(encoding="utf-8")


@pytest.mark.quick("torch")
def test_its_step_is_joglekars_window(xp):
    device = devices.make(f"{NAME}(p=2.0, dg_min=1e-6, g_min=1e-6, g_max=101e-6)")
    at = np.array([-1.0, -0.5, 0.0, 0.8])
    g = xp.asarray(51e-6 + 50e-6 * at)
    state = device.init(xp, xp.random.key(0), g)
    for sign in (1.0, -1.0):
        moved = device.pulse(xp, xp.random.key(1), state, sign * xp.ones_like(g))
        found = sign * (xp.to_numpy(moved.g) - xp.to_numpy(g)) / 1e-6
        np.testing.assert_allclose(found, 1.0 - np.abs(at) ** 4, rtol=1e-9, atol=1e-9)


def test_the_command_line_shows_trains_and_keeps_only_devices_of_the_library(tmp_path):
    shown = CliRunner().invoke(app, ["device", "show", f"{NAME}(p=3.0)"])
    assert shown.exit_code == 0, shown.output
    assert "symmetry point" in shown.output
    words = ["train", "--data", "digits", "--hidden", "8", "--epochs", "1", "--optimizer", "manhattan"]
    for name in (f"{NAME}(p=2.0)", "wox_ecram"):
        done = CliRunner().invoke(app, [*words, "--device", name, "--out", str(tmp_path / str(len(name)))])
        assert done.exit_code == 0, done.output
    with pytest.raises(TypeError, match="kept as its own code"):
        devices.save(tmp_path / "own.json", devices.make(NAME))
