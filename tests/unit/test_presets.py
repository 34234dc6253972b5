"""Presets against the numbers of their sources, and what the command line says of devices."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from neko import backend as backends
from neko import devices
from neko.cli import app
from neko.devices import PRESETS, Device


def steps(device, position):
    """Steps up and down relative to the range, at positions from -1 to 1."""
    xp = backends.get("torch", dtype="float64")
    g = xp.asarray(device.g_mid + 0.5 * (device.g_max - device.g_min) * np.asarray(position))
    plain = {"dg_min_std": 0.0, "dg_min_dtod": 0.0, "g_max_dtod": 0.0, "imperfections": ()}
    own = type(device)(**{**vars(device), **plain})
    state, found = own.init(xp, xp.random.key(0), g), []
    for up, step in ((True, state.step_up), (False, state.step_down)):
        found.append((step * own.shape(xp, state, up)).numpy() / (device.g_max - device.g_min))
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_device_with_a_source_and_a_word_on_its_trust(name):
    device = devices.make(name)
    assert isinstance(device, Device)
    assert devices.make(f"{name}(dg_min_std=0.125)").dg_min_std == 0.125
    about = PRESETS.about(name)
    assert about["summary"].endswith(".")
    assert about["trust"].endswith(".")
    assert len(about["trust"]) > 50


W = np.array([-0.8, -0.2, 0.0, 0.5])
"""Weights of aihwkit, in whose units the formulas below are."""


@pytest.mark.parametrize(
    ("name", "low", "high", "up", "down"),
    [
        ("hfo2_reram", -1.0, 1.0, 0.4622 * (1.0 - W), 0.4622 * (1.0 + W)),
        (
            "reram_es",
            -1.0,
            1.0,
            0.00135 * 1.259359 * (1.0 + 1.18445 * np.exp(5.0 * (-0.5 * W - 0.5))),
            0.00135 * 0.740641 * (1.0 + 0.081404 * np.exp(-5.0 * (-0.5 * W - 0.5))),
        ),
        (
            "ecram_mo",
            -0.8286,
            1.1714,
            2.8214e-4 * (1.0 - 0.4152 * W / 1.1714),
            2.8214e-4 * (1.0 + 0.7342 * W / 0.8286),
        ),
        ("gokmen_vlasov", -1.0, 1.0, 0.0016 * np.ones(4), 0.0016 * np.ones(4)),
    ],
)
def test_steps_are_those_of_aihwkits_presets(name, low, high, up, down):
    found = steps(devices.make(name), (2.0 * W - (low + high)) / (high - low))
    np.testing.assert_allclose(found[0], up / (high - low), rtol=1e-9)
    np.testing.assert_allclose(found[1], down / (high - low), rtol=1e-9)


def test_phase_change_memory_has_the_steps_up_of_its_source():
    w = np.array([0.1, 1.0, 1.9])
    found = steps(devices.make("pcm"), w - 1.0)
    np.testing.assert_allclose(found[0], 0.01 / 2.0 * (1.0 + 27.235 * np.exp(-2.5 * w)), rtol=1e-9)
    assert {type(own).__name__ for own in devices.make("pcm").imperfections} == {"Drift"}


def test_ag_asi_crosses_its_range_in_97_and_100_pulses():
    device = devices.make("ag_asi(dg_min_std=0.0)")
    for up, count in ((True, 97), (False, 100)):
        x = -1.0 if up else 1.0
        for _ in range(count - 1):
            x += 2.0 * (1.0 if up else -1.0) * float(steps(device, [x])[0 if up else 1][0])
        assert abs(x) < 0.9999
        x += 2.0 * (1.0 if up else -1.0) * float(steps(device, [x])[0 if up else 1][0])
        assert x == pytest.approx(1.0 if up else -1.0, abs=1e-9)


def test_names_are_found_and_the_nearest_is_suggested():
    with pytest.raises(ValueError, match=r"a preset, one of \[.*'hfo2_reram'.*did you mean 'hfo2_reram'"):
        devices.get("hfo2_rerom")
    with pytest.raises(ValueError, match="device 3"):
        devices.get(3)
    assert devices.make("soft_bounds(dg_min=2e-6)").dg_min == 2e-6


def run(*words):
    return CliRunner().invoke(app, ["device", *map(str, words)])


def test_the_command_line_lists_and_shows(tmp_path):
    listed = run("list")
    assert all(name in listed.output for name in ("exponential", "hfo2_reram", "Melianas"))
    shown = run("show", "hfo2_reram", "--plot", tmp_path / "es.png")
    assert shown.exit_code == 0, shown.output
    assert "symmetry point" in shown.output
    assert "An array was measured" in shown.output
    assert (tmp_path / "es.png").stat().st_size > 10_000
    wrong = run("show", "soft_bound")
    assert wrong.exit_code == 2
    assert "did you mean 'soft_bounds'" in wrong.output


def test_the_command_line_fits_writes_and_names_what_is_missing(tmp_path):
    """A train without noise but that of its digits: the constants to 1 %."""
    k = np.arange(120)
    lines = [
        f"{p},{g:.9f},{d}"
        for d, path in (("up", 90.0 - 80.0 * 0.97**k), ("down", 10.0 + 70.0 * 0.98**k))
        for p, g in zip(k, path, strict=True)
    ]
    (tmp_path / "p.csv").write_text("pulse,conductance (uS),direction\n" + "\n".join(lines), encoding="utf-8")
    words = ("fit", tmp_path / "p.csv", "--model", "soft_bounds", "--range", "10,90", "--out", tmp_path / "own.json")
    found = run(*words, "--plot", tmp_path / "p.png")
    assert found.exit_code == 0, found.output
    device = devices.load(tmp_path / "own.json")
    # of what is left to the bound, 80 µS at the other one, a pulse takes 3 and 2 %
    assert device.dg_min == pytest.approx(0.025 * 40e-6, rel=1e-2)
    assert device.up_down == pytest.approx(0.2, rel=2e-2)
    assert (tmp_path / "p.png").stat().st_size > 10_000
    (tmp_path / "up.csv").write_text(
        "pulse,conductance (uS)\n" + "\n".join(f"{p},{10 + p}" for p in k), encoding="utf-8"
    )
    missing = run("fit", tmp_path / "up.csv", "--model", "constant", "--direction", "up", "--out", tmp_path / "up.json")
    assert missing.exit_code == 2
    assert "do not determine step_down" in missing.output
    assert not (tmp_path / "up.json").exists()
    assert "no unit" in run("fit", tmp_path / "up.csv", "--columns", "pulse,conductance").output
