"""Figures say what they show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

import neko
from neko import plots
from neko.bayes import Posterior
from neko.plots import colours
from neko.plots.training import clearest_neuron

RULES = ("bptt", "eprop:symmetric", "eprop:random", "eprop:adaptive", "rtrl")


def drawn(figure):
    """The figure after a look at every pixel of it."""
    figure.savefig(io.BytesIO(), format="png")
    return figure


def words(axes):
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_a_rule_has_one_colour_and_no_other_rule_has_it():
    found = {rule: colours.of(rule) for rule in RULES}
    assert len(set(found.values())) == len(RULES)
    assert colours.of("e-prop") == colours.of("eprop") == found["eprop:symmetric"]
    assert colours.of("BPTT", ["mine", "BPTT"]) == found["bptt"]
    own = ["long", "bptt", "short"]
    three = {name: colours.of(name, own) for name in own}
    assert len(set(three.values())) == 3
    assert three["bptt"] == found["bptt"]
    assert set(three.values()) & set(found.values()) == {found["bptt"]}


def test_learning_curves_tell_validation_from_training_and_count_whole_epochs():
    axes = Figure().subplots()
    histories = {"e-prop": {"accuracy": [0.2, 0.4], "val_accuracy": [0.1, 0.3]}, "bptt": {"val_accuracy": [0.5, 0.6]}}
    plots.learning_curves(axes, histories, "val_accuracy", levels={"logistic regression": 0.7})
    drawn(axes.figure)
    assert words(axes) == ["e-prop", "bptt", "logistic regression", "validation", "training"]
    assert axes.lines[0].get_color() == axes.lines[1].get_color() == colours.of("eprop")
    assert (axes.lines[0].get_linestyle(), axes.lines[1].get_linestyle()) == ("-", "--")
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    axes = Figure().subplots()
    plots.learning_curves(axes, {"bptt": {"firing_rate": [10.0]}}, "firing_rate")
    assert words(axes) == ["bptt"]
    assert axes.get_ylabel() == "firing rate (Hz)"


def test_the_potential_falls_at_a_spike_to_where_the_reset_puts_it():
    axes = Figure().subplots()
    v, z = np.array([0.5, 1.2, 0.4]), np.array([0.0, 1.0, 0.0])
    plots.membrane(axes, v, np.ones(3), z, 2.0, reset=v - 1.0)
    time, potential = axes.lines[0].get_data()
    assert np.array_equal(time, [0.0, 2.0, 2.0, 4.0])
    assert np.allclose(potential, [0.5, 1.2, 0.2, 0.4])
    assert words(axes) == ["membrane potential", "threshold", "spike"]
    assert "(ms)" in axes.get_xlabel()


def test_the_neuron_that_is_shown_has_a_handful_of_spikes_apart_and_a_small_range():
    z, v = np.zeros((40, 5)), np.zeros((40, 5))
    z[::2, 0] = 1.0  # the busiest
    z[[5, 6, 7, 8], 1] = 1.0  # too close
    z[[5, 15, 25, 35], 2] = z[[5, 15, 25, 35], 3] = 1.0
    v[0, 2] = -9.0  # deeper than neuron 3
    assert clearest_neuron(z, v) == 3
    assert clearest_neuron(z[:, :1], v[:, :1]) == 0
    assert clearest_neuron(np.zeros((4, 2)), np.zeros((4, 2))) in (0, 1)


@pytest.mark.parametrize("make", [neko.LIF, neko.ALIF])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_an_overview_draws_what_the_network_did(make, reset):
    model = make(12, 2, "torch", tau_m=20.0, v_th=0.5, reset=reset)
    x = np.random.default_rng(0).standard_normal((40, 3))
    figure = drawn(plots.overview({"bptt": {"loss": [1.0]}}, model, x, "loss", onsets={0.0: "first", 20.0: "second"}))
    _, spikes, potential = figure.axes
    z = model.record(x[None])[0].z[0]
    assert len(spikes.lines[0].get_xdata()) == z.sum() > 5
    neuron = int(potential.get_title().split()[-1])
    assert len(potential.lines[2].get_xdata()) == z[:, neuron].sum() > 0
    assert [text.get_text() for text in spikes.texts] == ["first", "second"]
    moves = np.ptp(potential.lines[1].get_ydata()) > 0.0
    assert moves == (make is neko.ALIF)
    assert f"{25.0 * z.sum() / 12:.0f} Hz" in spikes.get_title()


@pytest.mark.parametrize("sampler", [neko.Langevin, neko.SGLD])
def test_a_posterior_has_a_line_a_chain_and_marks_the_warm_up(sampler):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 1, 3)), np.eye(3)[np.arange(12) % 3]
    model = neko.Evaluator(neko.RNN(4, 3, "torch"), loss="categorical_crossentropy")
    rule = sampler(model, chains=3, warmup=2, x_pred=x, step_size=1e-3)
    neko.Trainer(rule).train(x, y, epochs=5, progress=False)
    assert len(drawn(plots.chains(rule)).axes) == 2
    figure = drawn(plots.posterior(rule, x, y, example=1))
    _, bars, _, density, acceptance = figure.axes
    assert len(density.lines) == 3
    for line, chain in zip(density.lines, rule.chains, strict=True):
        assert np.array_equal(line.get_ydata(), chain.logdensity)
    assert words(density) == ["chain 0", "chain 1", "chain 2", "warm-up"]
    assert density.patches[0].get_extents().x1 == pytest.approx(density.transData.transform((2, 0))[0])
    assert len(acceptance.lines) == (3 if sampler is neko.Langevin else 0)
    assert [tick.get_text() for tick in bars.get_xticklabels()] == ["0", "1", "2"]
    assert "(nats)" in density.get_ylabel()


def labelled(draws=400, chains=3, examples=40):
    """A posterior that is sure of its first examples, and class numbers of which half of the others are wrong."""
    rng = np.random.default_rng(0)
    p = np.full((chains, draws, examples, 2), 0.5)
    p[..., : examples // 2, 0] = 0.95
    p[..., examples // 2 :, 0] += 0.25
    p[..., 0] += rng.uniform(-0.02, 0.02, p.shape[:-1])
    p[..., 1] = 1.0 - p[..., 0]
    y = np.where(np.arange(examples) < examples // 2, 0, np.arange(examples) % 2)
    ones = np.ones((chains, draws))
    return Posterior({}, rng.standard_normal((chains, draws)) + np.arange(chains)[:, None], ones, ones[:, 0], p), y


def test_a_reliability_diagram_has_the_range_of_a_calibrated_predictor():
    found, y = labelled()
    figure = drawn(plots.reliability(found, y, bins=10))
    above, below = figure.axes
    diagram = found.reliability(y, bins=10)
    some = diagram.examples > 0
    np.testing.assert_allclose(above.lines[1].get_ydata(), [0.5, 1.0])
    assert above.get_legend_handles_labels()[1] == ["measured", "if calibrated: 95 % range"]
    bars = [bar for bar in above.patches if np.isfinite(bar.get_height())]
    np.testing.assert_allclose([bar.get_y() for bar in bars], diagram.low[some])
    np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in bars], diagram.high[some])
    expected = found.calibrated_error(10)
    assert f"ECE {found.calibration_error(y, 10):.3f}; if calibrated {expected.mean:.3f} (" in above.get_title()
    np.testing.assert_array_equal(below.patches[0].get_data().values, diagram.examples)


def test_selective_accuracy_has_a_line_a_posterior_beside_its_mean_confidence():
    found, y = labelled()
    (axes,) = drawn(plots.selective({"one": found, "other": found}, y)).axes
    curve = found.selective_accuracy(y)
    assert words(axes) == [f"one (area {curve.area:.3f})", f"other (area {curve.area:.3f})", *words(axes)[2:]]
    assert words(axes)[2:] == ["mean confidence of the others"]
    np.testing.assert_allclose(axes.lines[0].get_data(), (100 * curve.refused, 100 * curve.accuracy))
    assert axes.lines[1].get_ydata()[0] == pytest.approx(100 * found.confidence.mean())
    assert axes.lines[0].get_ydata()[0] == pytest.approx(75.0)


def test_ranks_have_a_histogram_a_chain():
    found, y = labelled(draws=100)
    figure = drawn(plots.ranks(found, y))
    assert len(figure.axes) == 6
    heights = np.array([[bar.get_height() for bar in axes.patches] for axes in figure.axes])
    assert (heights.sum(axis=1) == 100).all()
    np.testing.assert_array_equal(heights.reshape(2, 3, 20).sum(axis=1), np.full((2, 20), 15))
    assert heights[0, :10].sum() > 70  # the chain of the lowest density
    assert heights[2, :10].sum() < 30
    assert [axes.get_title() for axes in figure.axes[:3]] == ["chain 0", "chain 1", "chain 2"]
    assert len(drawn(plots.ranks(found)).axes) == 3


def test_conductances_and_traces_name_their_units():
    g = np.random.default_rng(0).uniform(1e-6, 2e-3, (2, 50))
    figure = drawn(plots.conductances({"layers.0.w_in": {"g⁺": g[0], "g⁻": g[1]}}))
    assert "(µS)" in figure.axes[0].get_xlabel()
    assert "50 weights" in figure.axes[0].get_title()
    model = neko.Evaluator(neko.LIF(4, 2, "torch", v_th=0.5), loss="mse")
    x = np.random.default_rng(1).standard_normal((2, 9, 3))
    rule = neko.Eprop(model)
    (layer,) = rule.traces(x, np.ones((2, 2)))
    figure = drawn(plots.traces(layer, neuron=1, example=1))
    total = figure.axes[2].lines[1].get_ydata()[-1]
    gradient = np.einsum("t,ti->i", layer.signal[1, :, 1], layer.filtered["w_in"][1, :, :, 1])
    assert total == pytest.approx(max(gradient, key=abs))
    assert all("(ms)" in axes.get_xlabel() for axes in figure.axes[:3])
