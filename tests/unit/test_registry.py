"""Things by name: what is registered, found, refused, and taken from a person's own file."""

from __future__ import annotations

import importlib
import sys
from typing import NamedTuple

import numpy as np
import pytest

from neko import backend, datasets, devices, encoders, losses, metrics, updates
from neko.datasets import DATASETS
from neko.devices import DEVICES
from neko.losses import LOSSES
from neko.metrics import METRICS
from neko.registry import Registry, called, load
from neko.updates import UPDATES

REGISTRIES = (LOSSES, METRICS, DEVICES, DATASETS, UPDATES)


def test_an_entry_is_found_by_name_and_by_alias():
    shapes = Registry("shape", "neko.registry", ("corners",))

    @shapes.register("disc", aliases=("round",), corners="none")
    class Disc:
        """A disc.

        And more of it.
        """

    assert shapes.get("disc") is shapes.get("round") is shapes["disc"] is Disc
    assert list(shapes) == ["disc"]
    assert shapes.about("disc")["corners"] == shapes.about("round")["corners"] == "none"
    assert shapes.summary("disc") == "A disc."
    for taken in ({"name": "disc"}, {"name": "round"}, {"name": "new", "aliases": ("disc",)}):
        with pytest.raises(ValueError, match="is registered already"):
            shapes.register(**taken, corners="two")
    with pytest.raises(ValueError, match="shape 'square': expected corners=…"):
        shapes.register("square")


def test_an_entry_may_be_made_of_what_is_registered():
    class Pair(NamedTuple):
        name: str
        thing: object
        order: int = 0

    pairs = Registry("pair", "neko.registry", made=Pair)
    assert pairs.register("len", order=1)(len) is len
    assert pairs.resolve("len") is pairs["len"] == Pair("len", len, 1)
    assert pairs.resolve(pairs["len"]) is pairs["len"]
    assert pairs.resolve(max) == Pair("max", max)
    with pytest.raises(TypeError, match=r"pair 3: expected one of \['len'\]"):
        pairs.resolve(3)


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: r.kind)
def test_an_unknown_name_lists_the_names_and_the_nearest(registry):
    assert len(registry) > 1
    first = sorted(registry)[0]
    with pytest.raises(ValueError, match=f"{registry.kind} '{first}x': expected one of .*did you mean '{first}'"):
        registry.get(f"{first}x")
    for wrong in (None, 3, [first]):
        with pytest.raises(ValueError, match="expected one of"):
            registry.get(wrong)


def test_a_file_of_a_person_is_a_place_to_take_any_of_them_from(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "from neko.datasets import Dataset\n"
        "from neko.devices import SoftBounds\n"
        "class Slow(SoftBounds): ...\n"
        "slow = Slow(dg_min=1e-6)\n"
        "def hinge(xp, outputs, target): return xp.sum(xp.maximum(1.0 - outputs * target, 0.0), axis=-1)\n"
        "def sure(xp, context): return xp.sum(context.prediction), xp.sum(context.weight)\n"
        "def load(*, n=2):\n"
        "    x = np.zeros((n, 3, 4), dtype=np.float32)\n"
        "    return Dataset(x, np.arange(n) % 2, x, np.arange(n) % 2, 2)\n"
        "def nothing(): return 3\n"
    )
    assert losses.resolve(f"{file}:hinge").name == "hinge"
    assert metrics.resolve(f"{file}:sure").name == "sure"
    assert devices.get(f"{file}:Slow").__name__ == "Slow"
    assert devices.get(f"{file}:slow").dg_min == 1e-6
    assert datasets.load(f"{file}:load", n=np.int64(5)).x_train.shape == (5, 3, 4)
    with pytest.raises(TypeError, match=r"load' has no option 'm': expected one of \('n',\)"):
        datasets.load(f"{file}:load", m=5)
    with pytest.raises(TypeError, match=r"gave a int: expected a neko\.datasets\.Dataset"):
        datasets.load(f"{file}:nothing")
    with pytest.raises(ValueError, match=r"has no 'lod': expected one of .*'load'"):
        datasets.load(f"{file}:lod")


def test_a_file_may_have_the_name_of_a_module(tmp_path):
    (tmp_path / "json.py").write_text("import dataclasses\n@dataclasses.dataclass\nclass Own:\n    n: int = 3\n")
    before = sys.modules["json"]
    assert load(f"{tmp_path / 'json.py'}:Own")().n == 3
    assert sys.modules["json"] is before


def test_objects_are_taken_where_names_are():
    digits = datasets.load("digits")
    assert datasets.load(lambda: digits) is digits
    assert datasets.entry(datasets.load).name == "load"
    for resolve in (datasets.load, losses.resolve, metrics.resolve):
        for wrong in (3, None, ["digits"]):
            with pytest.raises(TypeError, match=r"expected one of .* or .*function"):
                resolve(wrong)


@pytest.mark.parametrize("name", backend.installed())
def test_every_backend_has_the_optimizers_that_are_listed(name):
    module = importlib.import_module(f"neko.backend._{name}_optimizers")
    assert sorted(module.NAMED) == list(backend.OPTIMIZERS)
    pulses = ["coincidences", "manhattan", "mixed_precision", "probabilistic_pulses", "tiki_taka"]
    assert updates.names() == sorted([*backend.OPTIMIZERS, "naive", *pulses])


def test_a_name_may_have_options():
    assert called("alif") == ("alif", {})
    assert called("a.py:Own(n=3, low=-1.5, modes=['a'], on=True)") == (
        "a.py:Own",
        {"n": 3, "low": -1.5, "modes": ["a"], "on": True},
    )
    assert called("/my (own)/a.py:Own") == ("/my (own)/a.py:Own", {})
    assert called("/my (own)/a.py:Own(n=(1, 2))") == ("/my (own)/a.py:Own", {"n": (1, 2)})
    for wrong in ("lif(3)", "lif(n=)", "lif(n=open('x'))", "lif(n=1) + f(2)", "lif(**{})", "lif()()"):
        with pytest.raises(ValueError, match="expected name"):
            called(wrong)
    assert encoders.ENCODERS.make("step_forward(threshold=0.3)", split=True).split is True
    assert datasets.load("copy(train=3, test=2)").x_train.shape[0] == 3
    assert datasets.load("copy(train=3)", train=4).x_train.shape[0] == 4


def test_a_file_that_cannot_be_imported_hides_no_entry_silently(tmp_path, monkeypatch):
    folder = tmp_path / "broken_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "part.py").write_text("raise OSError('no such device')")
    monkeypatch.syspath_prepend(tmp_path)
    found = Registry("part", "broken_parts")
    for _ in range(2):
        with pytest.raises(OSError, match="no such device"):
            list(found)
    (folder / "part.py").write_text("")
    assert list(found) == []
