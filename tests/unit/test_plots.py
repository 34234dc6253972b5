"""Figures say what they show."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

import neko
from neko import plots
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


def test_conductances_and_traces_name_their_units():
    g = np.random.default_rng(0).uniform(1e-6, 2e-3, (2, 50))
    figure = drawn(plots.conductances({"layers.0.w_in": (g[0], g[1])}))
    assert "(µS)" in figure.axes[0].get_xlabel()
    assert "50 pairs" in figure.axes[0].get_title()
    model = neko.Evaluator(neko.LIF(4, 2, "torch", v_th=0.5), loss="mse")
    x = np.random.default_rng(1).standard_normal((2, 9, 3))
    rule = neko.Eprop(model)
    (layer,) = rule.traces(x, np.ones((2, 2)))
    figure = drawn(plots.traces(layer, neuron=1, example=1))
    total = figure.axes[2].lines[1].get_ydata()[-1]
    gradient = np.einsum("t,ti->i", layer.signal[1, :, 1], layer.filtered["w_in"][1, :, :, 1])
    assert total == pytest.approx(max(gradient, key=abs))
    assert all("(ms)" in axes.get_xlabel() for axes in figure.axes[:3])
