"""Synaptic operations, counted by hand and by NeuroBench."""

from __future__ import annotations

import numpy as np
import pytest

import neko

pytest.importorskip("torch")
XP = neko.backend.get("torch", dtype="float64")
METRICS = ["synaptic_operations", "effective_acs", "effective_macs", "dense_operations"]


def counted(model, x, y=None, mask=None):
    evaluator = neko.Evaluator(model, loss="mean_squared_error", metrics=METRICS)
    found = evaluator.evaluate(x, np.zeros((len(x), model.outputs)) if y is None else y, mask)
    return [found[name] for name in METRICS]


def hand(xp, **options):
    """Two inputs on two neurons that spike at every step in which a current is positive, and one output."""
    cell = neko.cells.LIF(2, tau_m=1e-3, v_th=0.5, reset="zero", **options)
    model = neko.Model(cell, 1, xp, tau_out=None).build(2)
    weights = {"layers.0.w_in": [[1.0, 0.0], [1.0, 1.0]], "readout.w_out": [[1.0], [0.0]]}
    if cell.recurrent:
        weights["layers.0.w_rec"] = [[0.0, -1e-9], [0.0, 0.0]]
    model.params |= {name: xp.asarray(w) for name, w in weights.items()}
    return model


def test_spikes_are_accumulated():
    """Input 0 has one weight that is not 0, input 1 two. Example 0: spikes of input 0 at two steps are 2 operations,
    and neuron 0 spikes twice onto one weight: 2. Example 1: a spike of input 1 is 2, and both neurons spike; one has a
    weight: 1. Of 3 steps with 4 + 2 synapses each, 18 are dense."""
    x = np.array([[[1, 0], [1, 0], [0, 0]], [[0, 1], [0, 0], [0, 0]]], dtype=float)
    assert counted(hand(XP, recurrent=False), x) == pytest.approx([(4 + 3) / 2, (4 + 3) / 2, 0.0, 18.0])


@pytest.mark.parametrize(
    "backend", ["torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow"))]
)
def test_real_values_are_multiplied(backend):
    """As above with an input of 2: the inputs' 2 and 2 operations are multiplications, those of the spikes are not."""
    pytest.importorskip(backend)
    x = np.array([[[2, 0], [2, 0], [0, 0]], [[0, 1], [0, 0], [0, 0]]], dtype=float)
    model = hand(neko.backend.get(backend, dtype="float64"), recurrent=False)
    assert counted(model, x) == pytest.approx([3.5, 1.5, 2.0, 18.0])


def test_recurrent_spikes_and_missing_autapses():
    """Neuron 0 has one recurrent weight: 2 and 1 operations more. A neuron has no synapse with itself: 2 more dense."""
    x = np.array([[[1, 0], [1, 0], [0, 0]], [[0, 1], [0, 0], [0, 0]]], dtype=float)
    assert counted(hand(XP), x) == pytest.approx([5.0, 5.0, 0.0, 24.0])


def test_padded_frames_count_nowhere():
    x = np.array([[[1, 0], [1, 0], [0, 0]], [[0, 1], [3, 3], [0, 0]]], dtype=float)
    mask = np.array([[1, 1, 1], [1, 0, 0]], dtype=float)
    assert counted(hand(XP, recurrent=False), x, mask=mask) == pytest.approx([3.5, 3.5, 0.0, 12.0])


def test_graded_units_and_both_directions():
    """An LSTM multiplies: 3 inputs and 4 units onto 4 currents of 4 units, 2 outputs, 5 steps, two directions."""
    model = neko.LSTM(4, 2, "torch", bidirectional=True).build(3)
    dense = 2 * 5 * (3 * 16 + 4 * 16 + 4 * 2)
    assert counted(model, np.full((2, 5, 3), 0.5)) == pytest.approx([dense, 0.0, dense, dense])


def test_numbers_of_neurobench():
    """Those of ``SynapticOperations`` of NeuroBench 2.3.0 for the same weights in three ``torch.nn.Linear``, between
    which the same neurons spike, and the same 8 examples of 25 steps."""
    rng = np.random.default_rng(0)
    w = {"layers.0.w_in": (10, 16), "layers.1.w_in": (16, 6), "readout.w_out": (6, 3)}
    cells = [neko.cells.LIF(n, tau_m=5.0, reset="subtract", recurrent=False) for n in (16, 6)]
    model = neko.Model(cells, 3, XP, tau_out=None).build(10)
    for name, shape in w.items():
        drawn = rng.standard_normal(shape) * (rng.random(shape) < 0.7)
        model.params[name] = XP.asarray(np.round(drawn, 2))
    spikes = (rng.random((8, 25, 10)) < 0.3).astype(float)
    values = np.round(rng.standard_normal((8, 25, 10)), 2)
    assert counted(model, spikes) == pytest.approx(NEUROBENCH["spikes"])
    assert counted(model, values) == pytest.approx(NEUROBENCH["values"])


NEUROBENCH = {"spikes": [1217.0, 1217.0, 0.0, 6850.0], "values": [2896.125, 532.875, 2363.25, 6850.0]}


@pytest.mark.parametrize("rule", ["Eprop", "BPTT"])
def test_they_are_in_a_history(rule):
    rng = np.random.default_rng(0)
    x, y = (rng.random((6, 20, 3)) < 0.4).astype(float), np.eye(2)[[0, 1, 0, 1, 1, 0]]
    model = neko.Evaluator(neko.LIF(8, 2, "torch", v_th=0.5), "categorical_crossentropy", METRICS)
    model.build(x)
    before = model.evaluate(x, y)
    trainer = neko.Trainer(getattr(neko, rule)(model, optimizer="sgd"))
    trainer.train(x, y, epochs=1, batch_size=6, progress=False)
    assert before["effective_acs"] > 0.0
    for name in METRICS:
        assert trainer.history[name][0] == pytest.approx(before[name])


def test_a_module_of_ones_own_has_none():
    torch = pytest.importorskip("torch")
    model = neko.Evaluator(torch.nn.Linear(3, 2), "mean_squared_error", ["synaptic_operations"])
    with pytest.raises(ValueError, match="no synapses that are known"):
        model.evaluate(np.zeros((4, 3)), np.zeros((4, 2)))
