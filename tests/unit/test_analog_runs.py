"""Runs whose weights lie in devices: what options mean, what is refused, what learning costs, and figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko import Converters, Quantiser, devices, plots, runs
from neko import backend as backends
from neko.backend import generated
from neko.cli import app, costs
from neko.devices import ConstantStep, Drift, Levels, SingleDevice, SoftBounds, Stuck
from neko.runs.build import build_evaluator
from neko.runs.updating import update_options
from neko.training.callbacks.conductances import Conductances, Histograms
from neko.training.history import History
from neko.updates import UPDATES, Analog, Coincidences, Manhattan, MixedPrecision, TikiTaka

import few_digits

SMALL = runs.TrainConfig(
    data=few_digits.DATA, hidden=5, epochs=2, rule="bptt", cell="lif", recurrent=False, batch_size=20
)
WRITING = [name for name, kind in UPDATES.items() if issubclass(kind, Analog)]
TWICE = "adc(bits=3, full_scale=1.0), adc(bits=4, full_scale=1.0)"
needs_backend = pytest.mark.skipif(not backends.installed(), reason="no framework is installed")


@pytest.fixture(autouse=True)
def plain():
    """The formulas, not the kernels of tests/unit/test_elementwise.py, which take seconds to compile."""
    with generated.plain():
        yield


def made(**options):
    """The update that options describe, and the options of the rule beside it."""
    found = update_options(dataclasses.replace(SMALL, **options))
    return found.pop("optimizer"), found


def command(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_every_way_to_write_takes_every_device_and_storage():
    assert len(WRITING) >= 5
    for name in WRITING:
        for storage in devices.STORAGES:
            found, others = made(optimizer=name, device="soft_bounds", storage=storage, seed=3)
            assert found == UPDATES[name](device=devices.STORAGES[storage](SoftBounds()), seed=3)
            assert not others
        assert made(optimizer=name)[0] == UPDATES[name]()


def test_all_options_of_devices_reach_the_update():
    found, _ = made(
        optimizer='mixed_precision(optimizer="adam", learning_rate=2e-3, seed=7)',
        device="soft_bounds(dg_min_std=0.3)",
        storage='single(reference="symmetry_point")',
        imperfections="stuck(at_min=0.05), levels(number=64), drift",
        digital="readout.*, *.b",
        seconds=0.5,
    )
    device = SoftBounds(dg_min_std=0.3, imperfections=(Stuck(at_min=0.05), Levels(64), Drift()))
    assert found == MixedPrecision(
        device=SingleDevice(device, reference="symmetry_point"),
        optimizer="adam",
        learning_rate=2e-3,
        digital=("readout.*", "*.b"),
        seconds=0.5,
        seed=7,
    )
    own = devices.make("hfo2_reram").imperfections
    found, _ = made(optimizer="manhattan", device="hfo2_reram", imperfections="levels(number=8)")
    assert len(own) > 0
    assert found.device.imperfections == (*own, Levels(8))


@needs_backend
def test_converters_are_around_the_weights_of_a_run():
    config = dataclasses.replace(SMALL, converters="dac(bits=3, full_scale=1.0), adc(bits=6, full_scale=4.0)", epochs=1)
    converters = Converters(dac=Quantiser(3, full_scale=1.0), adc=Quantiser(6, full_scale=4.0))
    model = build_evaluator(config, few_digits.load()).model
    assert model.network.converters == converters
    with pytest.raises(ValueError, match="network of a file"):
        build_evaluator(dataclasses.replace(config, network="net.safetensors"), few_digits.load())
    refused = {"dsp(bits=3)": "'adc'", "adc(3)": "option=value", "adc(bit=3)": "it takes bits, full_scale"}
    for wrong, word in {**refused, "": "expected dac=", TWICE: "once"}.items():
        with pytest.raises((ValueError, TypeError), match=word):
            build_evaluator(dataclasses.replace(config, converters=wrong), few_digits.load())


def test_a_rate_is_what_the_update_makes_of_it():
    assert made(optimizer="sgd") == ("sgd", {"learning_rate": None})
    assert made(optimizer="naive") == ("naive", {"learning_rate": None})
    assert made(optimizer="manhattan", learning_rate=0.2)[0] == Manhattan(delta=0.2)
    assert made(optimizer="tiki_taka", learning_rate=0.2)[0] == TikiTaka(learning_rate=0.2)
    found, _ = made(optimizer="manhattan", device="constant", digital="*.b", learning_rate=0.2)
    assert found == Manhattan(device=ConstantStep(), digital=["*.b"], digital_rate=0.2)
    found, _ = made(optimizer="tiki_taka(fast='soft_bounds(dg_min=1e-6)', version=1)", device="constant")
    assert found == TikiTaka(device=ConstantStep(), fast=SoftBounds(dg_min=1e-6), version=1)


def test_a_file_holds_a_device_with_its_imperfections_and_how_it_stores_a_weight(tmp_path):
    storage = SingleDevice(SoftBounds(imperfections=[Stuck(at_max=0.1)]), reference="symmetry_point")
    path = str(devices.save(tmp_path / "own.json", storage))
    assert devices.load(path) == storage == made(optimizer="manhattan", device=path)[0].device
    found, _ = made(optimizer="coincidences", device=path, imperfections="levels(number=4)")
    worse = dataclasses.replace(storage.device, imperfections=(Stuck(at_max=0.1), Levels(4)))
    assert found == Coincidences(device=SingleDevice(worse, reference="symmetry_point"))
    with pytest.raises(ValueError, match="says already SingleDevice"):
        made(optimizer="manhattan", device=path, storage="pair")
    assert "stuck" in command("device", "show", path).output.lower()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "constant"}, r"device='constant': the optimizer 'adam' sends no pulses.*'tiki_taka'"),
        ({"storage": "single"}, "storage='single': the optimizer 'adam' sends no pulses"),
        ({"optimizer": "naive", "digital": "*.b"}, "digital='\\*.b': the optimizer 'naive'"),
        ({"optimizer": "tiki_taka", "imperfections": "drift"}, "imperfections='drift': expected also the device"),
        ({"optimizer": "manhattan", "seconds": 1.0}, "seconds=1.0: expected also the device"),
        ({"optimizer": "manhattan", "device": "constant", "seconds": 1.0}, "by drift or decay"),
        ({"optimizer": "manhattan", "device": "constant", "imperfections": "drift"}, "seconds=None"),
        ({"optimizer": "manhattan", "device": "constant", "learning_rate": 0.1}, "the step is the device's"),
        ({"optimizer": "manhattan", "device": "constant", "imperfections": "levels"}, "'number'; it takes number, st"),
        ({"optimizer": "manhattan", "device": "constant", "imperfections": "level"}, "did you mean 'levels'"),
        ({"optimizer": "manhattan", "device": "constant", "storage": "pair(refresh=0.5)"}, "storage 'pair.*'refresh'"),
        ({"optimizer": "mixed_precision(rate=0.1)"}, "'rate'; it takes .*learning_rate"),
        ({"optimizer": "adam(beta=0.1)"}, "expected 'adam' alone"),
        ({"optimizer": "tiki_taka(learning_rate=0.1)", "learning_rate": 0.1}, "learning_rate is also an option"),
        ({"optimizer": "manhatan", "device": "constant"}, "did you mean 'manhattan'"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        made(**options)


OPTIONS = {
    "optimizer": "tiki_taka(every=2, learning_rate=0.5)",
    "device": "soft_bounds(dg_min_dtod=0.2, pulse_energy=1e-12, pulse_time=1e-6)",
    "imperfections": "stuck(at_random=0.1), endurance(pulses=20, spread=0.5), levels(number=32, stochastic=True)",
    "storage": "single(reference='symmetry_point')",
    "digital": "*.b_out",
}


@pytest.mark.parametrize(
    "backend",
    [pytest.param(b, marks=[pytest.mark.slow] if b != "torch" else []) for b in backends.installed()],
)
def test_a_run_with_devices_is_gone_on_with_shown_and_seeded(backend, tmp_path, monkeypatch):
    monkeypatch.setattr(runs.Run, "draw", lambda self: [])  # the figures take longest
    config = dataclasses.replace(SMALL, backend=backend, **OPTIONS)
    whole = runs.run(dataclasses.replace(config, epochs=3), tmp_path / "whole", progress=False)
    runs.run(config, tmp_path / "part", progress=False)
    assert runs.read_config(tmp_path / "part" / runs.CONFIG) == config
    result = command("train", "--resume", tmp_path / "part", "--epochs", 3)
    assert result.exit_code == 0, result.output
    for name in (runs.HISTORY, "conductances.csv"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    # the devices of the checkpoint are those of the run, and another seed has others
    again = runs.load(tmp_path / "part").rule
    stuck = {}
    for name, stored in whole.rule.update_state.stores.items():
        for mine, read in zip(stored.devices, again.update_state.stores[name].devices, strict=True):
            np.testing.assert_array_equal(again.xp.to_numpy(read.g), whole.rule.xp.to_numpy(mine.g))
        stuck[name] = whole.rule.xp.to_numpy(stored.devices[0].own[0][0])
    assert 0.0 < np.mean([s.mean() for s in stuck.values()]) < 0.3
    other = runs.of(dataclasses.replace(config, seed=1), tmp_path / "other").learner()
    same = runs.of(config, tmp_path / "same").learner()
    for rule, equal in ((other, False), (same, True)):
        rule.start(few_digits.load().x_train)
        found = {n: rule.xp.to_numpy(s.devices[0].own[0][0]) for n, s in rule.update_state.stores.items()}
        assert all(np.array_equal(found[name], stuck[name]) for name in stuck) is equal

    monkeypatch.undo()
    shown = command("show", tmp_path / "part")
    assert shown.exit_code == 0, shown.output
    for words in ("pulses per device", "devices stuck", "devices worn out", "energy of all pulses", "J", "tiki_taka"):
        assert words in shown.output
    assert "refreshes" not in shown.output.partition("Devices after")[2]
    for figure in ("conductances", "conductance_history", "pulses"):
        assert (tmp_path / "part" / runs.FIGURES / f"{figure}.png").stat().st_size > 1000


@needs_backend
def test_a_run_without_devices_has_neither_costs_nor_figures_of_them(tmp_path):
    runs.run(dataclasses.replace(SMALL, epochs=1), tmp_path, progress=False)
    assert [path.name for path in (tmp_path / runs.FIGURES).iterdir()] == ["learning_curves.png"]
    assert not (tmp_path / "conductances.csv").exists()
    assert "what it cost the chip" not in command("show", tmp_path).output


def trained(path, epochs, optimizer=None):
    digits = few_digits.load().one_hot()
    model = neko.Evaluator(neko.LIF(5, 10, backends.default(), seed=0), loss="categorical_crossentropy")
    trainer = neko.Trainer(neko.Eprop(model, optimizer=optimizer or Manhattan(device=SoftBounds(dg_min_dtod=0.3))))
    options = {"epochs": epochs, "callbacks": [Conductances(path)], "progress": False}
    trainer.train(digits.x_train, digits.y_train, **options)
    return trainer, options


@needs_backend
def test_histograms_count_every_device_after_every_epoch(tmp_path):
    path = tmp_path / "deep" / "g.csv"
    trainer, options = trained(path, 2)
    found = Conductances.read(path)
    digits = few_digits.load().one_hot()
    trainer.train(digits.x_train, digits.y_train, **options | {"epochs": 1})
    longer = Conductances.read(path)
    update, state = trainer.rule.update, trainer.rule.update_state
    assert found.keys() == longer.keys() == trainer.rule.model.params.keys()
    for name, devices_of in longer.items():
        for label, histograms in devices_of.items():
            g = update.conductances(state)[name][label]
            before = found[name][label]
            assert list(histograms.epochs) == [1, 2, 3]
            assert list(before.epochs) == [1, 2]
            np.testing.assert_array_equal(histograms.counts[:2], before.counts)
            np.testing.assert_array_equal(histograms.counts.sum(axis=1), g.size)
            np.testing.assert_array_equal(histograms.counts[-1], np.histogram(g, bins=histograms.edges)[0])
            lower, upper = (update.shown(state, field)[name][label] for field in ("lower", "upper"))
            assert histograms.edges[[0, -1]] == pytest.approx([lower.min(), upper.max()])
    assert any((h.counts[1] != h.counts[2]).any() for each in longer.values() for h in each.values())
    trained(path, 1)
    assert [list(h.epochs) for each in Conductances.read(path).values() for h in each.values()] == [[1]] * 8


@needs_backend
def test_histograms_need_devices_and_a_file_of_their_own(tmp_path):
    with pytest.raises(TypeError, match="expected a rule whose weights lie in devices"):
        trained(tmp_path / "g.csv", 1, "adam")
    with pytest.raises(TypeError, match="expected a rule whose weights lie in devices"):
        trained(tmp_path / "g.csv", 1, Manhattan())
    Path(tmp_path / "g.csv").write_text("epoch,loss\n1,0.5\n")
    for use in (lambda: trained(tmp_path / "g.csv", 1), lambda: Conductances.read(tmp_path / "g.csv")):
        with pytest.raises(ValueError, match="another file"):
            use()
    with pytest.raises(FileNotFoundError):
        Conductances.read(tmp_path / "none.csv")


def test_costs_are_told_in_plain_units():
    history = History(pulses=[1.0, 12.5], at_bounds=[0.0, 0.125], write_energy=[1e-9, 3.2e-6], write_time=[1e-6, 2e-3])
    table = costs.table(history)
    words, values = (list(column.cells) for column in table.columns)
    assert values == ["12.5", "12.5 %", "3.200 µJ", "2.000 ms"]
    assert words[1] == "devices at a bound of their range"
    assert "2 epochs" in table.title
    assert costs.table(History(loss=[1.0])) is None


def test_figures_of_arrays_have_the_numbers_and_their_units():
    counts = {"w": {"g⁺": np.arange(6.0).reshape(2, 3), "g⁻": np.ones((2, 3))}, "b": {"g⁺": np.full(4, 9.0)}}
    figure = plots.pulse_counts(counts)
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == ["w", "", "b"]
    np.testing.assert_array_equal(panels[0].images[0].get_array(), counts["w"]["g⁺"])
    assert panels[2].images[0].get_array().shape == (1, 4)
    assert {axes.images[0].norm.vmax for axes in panels} == {9.0}
    assert figure.axes[-1].get_ylabel() == "pulses per device"

    edges = np.linspace(0.0, 1e-3, 5)
    found = {"w": {"g": Histograms(np.array([1, 2]), edges, np.eye(4, dtype=int)[:2] * 8)}}
    figure = plots.conductance_history(found)
    figure.canvas.draw()
    (mesh,) = figure.axes[0].collections
    np.testing.assert_allclose(mesh.get_array(), 100.0 * np.eye(4)[:2].T)
    np.testing.assert_allclose(mesh.get_coordinates()[:, 0, 1], [0.0, 250.0, 500.0, 750.0, 1000.0])
    assert "(µS)" in figure.axes[0].get_ylabel()
    assert figure.axes[-1].get_ylabel() == "devices per bin (%)"
