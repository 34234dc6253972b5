"""Measured trains from CSV, and devices to and from JSON: whole, or refused with what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neko import devices
from neko.devices import DEVICES, PRESETS, Drift, SoftBounds, Stuck, fitting
from neko.devices.fitting import read

LONG = """pulse,conductance (uS),direction,device,cycle
0,10,up,a,1
1,11.5,up,a,1
3,14,up,a,1
1,13,down,a,1
2,12,-1,a,1
0,20,up,b,1
1,21,1,b,1
"""


def written(folder, text):
    path = folder / "pulses.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_trains_end_where_device_cycle_or_count_change(tmp_path):
    pulses = read(written(tmp_path, LONG))
    assert pulses.unit == "uS"
    assert [(t.device, t.line) for t in pulses.trains] == [("a", 2), ("a", 5), ("b", 7)]
    np.testing.assert_allclose(pulses.trains[0].g, [10.0, 11.5, np.nan, 14.0])
    assert [list(t.direction) for t in pulses.trains] == [[1, 1, 1], [-1], [1]]


def test_names_units_and_directions_may_be_given(tmp_path):
    plain = read(
        written(tmp_path, "n;G\n1;2\n2;3\n3;4\n"),
        columns={"pulse": "n", "conductance": "G"},
        unit="mS",
        direction="down",
    )
    assert plain.unit == "mS"
    assert list(plain.trains[0].g) == [2.0, 3.0, 4.0]
    assert list(plain.trains[0].direction) == [-1, -1]
    both = read(written(tmp_path, "0.1,0.9\n0.2,0.8\n"), columns=["up", "down"], unit="relative")
    assert both.relative
    assert [list(t.g) for t in both.trains] == [[0.1, 0.2], [0.9, 0.8]]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (LONG.replace("14", "x"), {}, "line 4: conductance 'x': expected a finite number"),
        (LONG.replace("14", "nan"), {}, "line 4: conductance 'nan'"),
        (LONG.replace("0,20", "0.5,20"), {}, "line 7: pulse '0.5': expected an integer"),
        (LONG.replace("2,12,-1", "2,12,left"), {}, "line 6: direction 'left': expected up, down"),
        (LONG.replace("2,12,-1,a,1", "2,12,-1,a"), {}, "line 6: 4 columns: expected 5"),
        (LONG.replace("2,12,-1,a,1\n", ""), {}, "line 5: a train of one line"),
        (LONG.replace("3,14", "99999,14"), {}, "line 4: 99998 pulses without a measurement"),
        (LONG.replace(" (uS)", ""), {}, "no unit of the conductance"),
        (LONG.replace("direction", "way"), {}, "no column 'direction'"),
        (LONG.replace("pulse", "n"), {}, "expected \\['pulse', 'conductance'\\]"),
        (LONG, {"columns": {"pulse": "number"}}, "no column 'number'"),
        (LONG, {"columns": {"pulses": "pulse"}}, "columns=\\['pulses'\\]"),
        (LONG, {"unit": "Ohm"}, "unit='Ohm'"),
        (LONG, {"direction": "left"}, "direction='left'"),
        ("pulse,conductance (S),direction\n", {}, "holds no pulses"),
        ("", {}, "expected \\['pulse', 'conductance'\\]"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(tmp_path, text, options, words):
    with pytest.raises(ValueError, match=words):
        read(written(tmp_path, text), **options)


def test_no_table_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a CSV file"):
        read(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not text in UTF-8"):
        read(tmp_path / "binary.csv")


def train(count=60, noise=0.05):
    """Up pulses alone, with noise of pulses."""
    g = 10.0 + np.cumsum(0.5 * (1.0 + noise * np.random.default_rng(0).standard_normal(count)))
    return "pulse,conductance (uS)\n" + "".join(f"{k},{v:.6f}\n" for k, v in enumerate(g))


def test_what_is_not_determined_is_named_and_may_be_given(tmp_path):
    path = written(tmp_path, train())
    found = fitting.fit(path, "constant", direction="up")
    assert found.undetermined == ("step_down",)
    assert not found.estimates["step_down"].determined
    with pytest.raises(ValueError, match=r"do not determine step_down.*--fix step_down="):
        _ = found.device
    known = fitting.fit(path, "constant", direction="up", fixed={"step_down": 0.4e-6})
    assert known.undetermined == ()
    assert known.device.dg_min == pytest.approx(0.45e-6, rel=0.02)
    assert known.device.up_down == pytest.approx(0.1 / 0.9, rel=0.1)
    with pytest.raises(ValueError, match=r"fixed=\['gamma'\]: ConstantStep has the constants"):
        fitting.fit(path, "constant", direction="up", fixed={"gamma": 1.0})
    with pytest.raises(ValueError, match="give siemens="):
        fitting.fit(path, direction="up", unit="relative")
    with pytest.raises(TypeError, match="model=3"):
        fitting.fit(path, 3, direction="up")
    with pytest.raises(ValueError, match="expected 10 or more"):
        fitting.fit(written(tmp_path, train(8)), direction="up")


@pytest.mark.parametrize("name", [*DEVICES, *PRESETS])
def test_devices_come_back_from_their_files(tmp_path, name):
    device = devices.make(name)
    path = devices.save(tmp_path / "own.json", device, about={"fitted to": "pulses.csv"})
    assert devices.load(path) == device == devices.get(str(path))
    assert devices.make(f"{path}(dg_min_std=0.5)").dg_min_std == 0.5


def test_a_file_is_whole_and_of_the_library(tmp_path):
    device = SoftBounds(imperfections=[Stuck(at_min=0.1), Drift(nu=0.02)])
    path = devices.save(tmp_path / "own.json", device)

    class Own(SoftBounds):
        pass

    with pytest.raises(TypeError, match="expected one of the library's"):
        devices.save(path, Own())
    assert devices.load(path) == device
    with pytest.raises(ValueError, match="ends in"):
        devices.save(tmp_path / "own.txt", device)
    with pytest.raises(FileNotFoundError, match="neko device fit"):
        devices.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: "{", "is no JSON"),
        (lambda c: "[" * 100_000, "is no JSON"),
        (lambda c: [], "no device of neko"),
        (lambda c: {"weights": 1}, "no device of neko"),
        (lambda c: {**c, "neko device": 2}, "update neko"),
        (lambda c: {**c, "device": "memristor"}, "was altered.*'memristor'"),
        (lambda c: {**c, "constants": {**c["constants"], "dg_min": -1.0}}, "was altered.*dg_min=-1.0"),
        (lambda c: {**c, "constants": {**c["constants"], "dg_min": "1"}}, "was altered"),
        (lambda c: {**c, "constants": {**c["constants"], "gamma": 1.0}}, "SoftBounds has no \\['gamma'\\]"),
        (lambda c: {**c, "constants": {"imperfections": [{"imperfection": "os.system"}]}}, "was altered"),
        (lambda c: {**c, "device": "os:system"}, "was altered"),
    ],
)
def test_another_file_is_refused(tmp_path, change, words):
    path = devices.save(tmp_path / "own.json", SoftBounds())
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(ValueError, match=words):
        devices.load(path)
