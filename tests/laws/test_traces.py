"""The traces that e-prop shows are those that its gradient is made of."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import backend
from neko.cells import CELLS
from neko.verification.cases import max_relative_error

from oracle import assert_live, assert_moves

TIME, BATCH, N_IN, UNITS, OUT = 13, 3, 4, 6, 2
EXACT = 1e-12
SLOW = {"lif": {"tau_m": 20.0}, "alif": {"tau_m": 20.0}, "adex": {"resistance": 200.0}, "cuba_lif": {"v_th": 5.0}}


def evaluator_of(cell, xp=None, layers=2, **options):
    cells = [CELLS[cell](UNITS, **SLOW.get(cell, {})) for _ in range(layers)]
    xp = backend.get("torch", dtype="float64") if xp is None else xp
    model = neko.Model(cells, OUT, xp, tau_out=7.0, seed=3).build(N_IN)
    if layers > 1 and cells[1].spiking:
        w_in = model.params["layers.1.w_in"]
        model.params["layers.1.w_in"] = 0.8 * model.xp.abs(w_in)
    return neko.Evaluator(model, loss="mse", **options)


def data_of(held=False):
    rng = np.random.default_rng(0)
    x = 1.5 * rng.standard_normal((BATCH, TIME, N_IN))
    mask = np.ones((BATCH, TIME))
    mask[1, 9:] = 0.0
    return x, rng.standard_normal((BATCH, OUT) if held else (BATCH, TIME, OUT)), mask


def gradient_of(found):
    """Σ L ē + Σ R e by NumPy alone, by the parameters' names."""
    gradients = {}
    for i, layer in enumerate(found):
        for name, filtered in layer.filtered.items():
            blocks = filtered.shape[-1] // layer.signal.shape[-1]
            signal, rate = (np.concatenate([a] * blocks, axis=-1) for a in (layer.signal, layer.rate_signal))
            total = np.einsum("btn,bt...n->...n", signal, filtered)
            gradients[f"layers.{i}.{name}"] = total + np.einsum("btn,bt...n->...n", rate, layer.eligibility[name])
    return gradients


def assert_sums_to_the_gradient(rule, data):
    found, gradients = rule.traces(*data), rule.gradients(*data)[1]
    assert_live(rule.model, data[0], gradients, rule.xp)
    expected = {name: rule.xp.to_numpy(g) for name, g in gradients.items() if name.startswith("layers")}
    summed = gradient_of(found)
    if not rule.model.network.cells[0].autapses:
        assert not any(np.diagonal(layer.eligibility["w_rec"], axis1=2, axis2=3).any() for layer in found)
    assert max_relative_error(summed, expected) < EXACT
    return found, expected


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("mode", ["symmetric", "random"])
def test_signals_times_traces_are_the_gradient_of_every_cell(cell, mode):
    regularizer = neko.FiringRate(target=50.0, strength=3.0) if CELLS[cell].spiking else None
    rule = neko.Eprop(evaluator_of(cell, regularizer=regularizer, layers=1), mode=mode)
    found, expected = assert_sums_to_the_gradient(rule, data_of())
    if regularizer is not None:
        assert_moves(gradient_of([found[0]._replace(rate_signal=0.0 * found[0].rate_signal)]), expected)


@pytest.mark.quick("torch", "tensorflow")
def test_signals_times_traces_are_the_gradient_of_a_stack_on_every_backend(xp):
    rule = neko.Eprop(evaluator_of("alif", xp), jit=False)
    found, expected = assert_sums_to_the_gradient(rule, data_of())
    unfiltered = [layer._replace(filtered=layer.eligibility) for layer in found]
    assert_moves(gradient_of(unfiltered), expected)


@pytest.mark.parametrize("target", ["every", "last", "mean"])
def test_a_held_target_has_traces_too(target):
    assert_sums_to_the_gradient(neko.Eprop(evaluator_of("lif", layers=1, target=target)), data_of(held=True))


def test_traces_of_leaky_neurons_follow_their_closed_form():
    """ε_t = α ε_{t-1} + x_t and e_t = ψ(u_t) ε_t / v_th, with Bellec's triangle ψ = γ max(0, 1 - |u|)."""
    evaluator = evaluator_of("lif", layers=1)
    x, y, _ = data_of()
    (found,) = neko.Eprop(evaluator).traces(x, y)
    cell = evaluator.network.cells[0]
    v = evaluator.model.record(x)[0].v
    psi = cell.surrogate.gamma * np.maximum(0.0, 1.0 - np.abs(v / cell.v_th - 1.0))
    alpha, kappa = np.exp(-1.0 / cell.tau_m), np.exp(-1.0 / 7.0)
    vector, filtered = np.zeros((BATCH, N_IN)), np.zeros((BATCH, N_IN, UNITS))
    for t in range(TIME):
        vector = alpha * vector + x[:, t]
        e = vector[:, :, None] * psi[:, t, None, :] / cell.v_th
        filtered = kappa * filtered + e
        assert np.abs(found.eligibility["w_in"][:, t] - e).max() < EXACT
        assert np.abs(found.filtered["w_in"][:, t] - filtered).max() < EXACT
    assert np.abs(e).max() > 1e-3


def test_looking_at_traces_teaches_nothing():
    data = data_of()
    steps = []
    for looks in (0, 2):
        rule = neko.Eprop(evaluator_of("lif"), mode="adaptive", stream=True)
        for _ in range(2):
            seen = [rule.traces(*data) for _ in range(looks)]
            rule.step(*data)
        steps.append({name: rule.xp.to_numpy(w) for name, w in rule.model.params.items()})
    assert max_relative_error(*steps) == 0.0
    assert np.array_equal(seen[0][0].signal, seen[1][0].signal)
    # From rest, also in the middle of a stream: the first layer's traces start at the input.
    assert np.array_equal(seen[0][0].filtered["w_in"][:, 0], seen[0][0].eligibility["w_in"][:, 0])
