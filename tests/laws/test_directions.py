"""Networks that read a sequence in both directions: every rule, on every backend."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko import backend
from neko.models.directions import BACKWARD, FORWARD
from neko.verification.cases import gradients, made, max_relative_error, on_host, relative_error
from neko.verification.reference import rate_penalty, unrolled

from oracle import assert_live

EXACT, CONTROL = 1e-12, 1e-3
TIME, BATCH, N_IN, OUT = 13, 3, 4, 2
LENGTHS = [13, 9, 1]
CELLS = {
    "alif": neko.cells.ALIF(6, tau_m=20.0),
    "lstm": neko.cells.LSTM(4),
}


def data():
    rng = np.random.default_rng(0)
    mask = np.zeros((BATCH, TIME))
    for row, length in zip(mask, LENGTHS, strict=True):
        row[:length] = 1.0
    mask[0, 4] = 0.0  # a frame without a target within a sequence
    return 2.0 * rng.standard_normal((BATCH, TIME, N_IN)), rng.standard_normal((BATCH, TIME, OUT)), mask


def mirrored(a):
    """Each sequence (batch, time, …) read from its end, with its padding after it: by hand, without neko."""
    a = np.array(a)
    for row, length in zip(a, LENGTHS, strict=True):
        row[:length] = row[:length][::-1].copy()
    return a


def evaluator(xp, cells, **options):
    model = neko.Model(cells, OUT, xp, tau_out=7.0, bidirectional=True, seed=3).build(N_IN)
    return neko.Evaluator(model, loss="mse", regularizer=neko.FiringRate(50.0, strength=3.0), **options)


def one_direction(xp, both, direction, regularizer=None):
    """The network of one direction alone, with its weights of the bidirectional network."""
    model = neko.Model(both.network.cells, OUT, xp, tau_out=7.0).build(N_IN)
    model.params = direction.own(both.params)
    return neko.Evaluator(model, loss="mse", regularizer=regularizer)


def by_autodiff(xp, both, x, y, mask, cut):
    """Loss and gradients of both directions by automatic differentiation of two plain loops, one on the mirrored
    sequences, whose outputs are added."""
    batch = both.batch(xp.asarray(x), xp.asarray(y), xp.asarray(mask))
    turned = both.batch(xp.asarray(mirrored(x)), xp.asarray(y), xp.asarray(mirrored(mask)))
    rows = [[length - 1 - t if t < length else t for length in LENGTHS] for t in range(TIME)]
    readout = both.network.readout
    cells = [cell.without_reset() for cell in both.network.cells] if cut else both.network.cells
    cuts = {"cut_recurrent": cut, "cut_upward": cut, "kappa": readout.kappa, "gain": readout.gain}

    def run(params):
        y, ahead = unrolled(xp, cells, FORWARD.own(params), batch.x, **cuts)
        back, behind = unrolled(xp, cells, BACKWARD.own(params), turned.x, **cuts)
        back = xp.stack([xp.stack([back[s, b] for b, s in enumerate(row)], axis=0) for row in rows], axis=0)
        penalty = rate_penalty(xp, both, ahead, batch) + rate_penalty(xp, both, behind, turned)
        return both.objective.value(xp, y + back, batch) + penalty

    return xp.value_and_grad(run)(both.params)[1]


@functools.cache
def references(name, layers):
    """The gradients by automatic differentiation, of all paths and with e-prop's cuts. The weights are equal on all
    backends, so that one backend computes them."""
    xp = backend.get("torch", dtype="float64")
    both, given = evaluator(xp, [CELLS[name]] * layers), data()
    exact, cut = (by_autodiff(xp, both, *given, cut) for cut in (False, True))
    assert_live(both, given[0], exact, xp)
    return on_host(xp, exact), on_host(xp, cut)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_every_rule_equals_autodiff_of_two_plain_loops(xp, name, layers):
    if xp.name != "torch" and (layers, name) != (1, "alif"):
        pytest.skip("the directions do not depend on the cell, nor the stack on the backend")
    both, (x, y, mask) = evaluator(xp, [CELLS[name]] * layers), data()
    exact, cut = references(name, layers)
    assert max_relative_error(cut, exact) > CONTROL
    assert sorted(exact) == sorted(both.params)
    for rule, expected in ((neko.BPTT, exact), (neko.RTRL, exact), (neko.Eprop, cut)):
        assert max_relative_error(gradients(made(rule, both), (x, y, mask)), expected) < EXACT


@pytest.mark.quick("torch", "tensorflow")
def test_outputs_and_measures_are_those_of_two_networks_put_together(xp):
    both, (x, y, mask) = evaluator(xp, [CELLS["alif"]], metrics=["firing_rate"]), data()
    ahead, behind = (one_direction(xp, both, direction) for direction in (FORWARD, BACKWARD))
    total = ahead.predict(x, every_step=True) + mirrored(behind.predict(mirrored(x), every_step=True))
    found = both.predict(x, mask, every_step=True)
    np.testing.assert_allclose(found[mask > 0], total[mask > 0], rtol=1e-12)
    assert np.abs(found - ahead.predict(x, every_step=True)).max() > CONTROL
    assert both.evaluate(x, y, mask)["loss"] == pytest.approx(np.mean((total - y)[mask > 0] ** 2), rel=1e-12)


@pytest.mark.quick("torch", "tensorflow")
@pytest.mark.parametrize("mode", ["symmetric", "random", "adaptive"])
def test_eprop_equals_eprop_of_two_networks_given_the_common_error(xp, mode):
    """For a loss that is linear in the outputs, the error does not depend on the other direction."""
    if xp.name != "torch" and mode != "adaptive":
        pytest.skip("the same code but for the feedback's gradient")
    loss = neko.losses.Loss("linear", lambda xp, outputs, target: xp.sum(outputs * target, axis=-1))
    both, (x, y, mask) = evaluator(xp, [CELLS["alif"]]), data()
    both = neko.Evaluator(both.model, loss=loss)
    whole = made(neko.Eprop, both, mode=mode)
    found = whole.gradients(x, y, mask)[1]
    for direction, data_of in ((FORWARD, (x, y, mask)), (BACKWARD, tuple(map(mirrored, (x, y, mask))))):
        alone = neko.Evaluator(one_direction(xp, both, direction).model, loss=loss)
        rule = made(neko.Eprop, alone, mode=mode)
        rule.gradients(*data_of)  # draws the feedback, which is then that of the direction
        rule.feedback = direction.own(whole.feedback)
        expected = rule.gradients(*data_of)[1]
        assert len(expected) > 3
        assert relative_error(xp, direction.own(found), expected) < EXACT


@pytest.mark.quick("torch", "tensorflow")
def test_padding_counts_nowhere(xp):
    both, (x, y, mask) = evaluator(xp, [CELLS["alif"]], metrics=["firing_rate"]), data()
    outside = mask[:, ::-1].cumsum(axis=1)[:, ::-1] == 0
    assert outside.any()
    changed = np.where(outside[..., None], 100.0, x)
    for rule in (neko.BPTT, neko.Eprop):
        found, again = (made(rule, both).gradients(a, y, mask)[1] for a in (x, changed))
        assert relative_error(xp, again, found) < EXACT
    assert both.evaluate(x, y, mask) == both.evaluate(changed, y, mask)


def test_trains_saves_and_refuses_what_reads_from_the_start_only(tmp_path):
    both, (x, y, mask) = evaluator("torch", [CELLS["alif"]]), data()
    rule = neko.Eprop(both, mode="adaptive", feedback_decay=0.1, learning_rate=1e-2)
    history = neko.Trainer(rule).train(x, y, mask, epochs=20, progress=False)
    assert history["loss"][-1] < history["loss"][0]
    neko.checkpoint.save_weights(both, tmp_path / "w.safetensors")
    other = evaluator("torch", [CELLS["alif"]])
    neko.checkpoint.load_weights(other, tmp_path / "w.safetensors")
    again, then = (model.predict(x, mask, every_step=True) for model in (other, both))
    np.testing.assert_array_equal(again, then)
    single = neko.Model([CELLS["alif"]], OUT, "torch", tau_out=7.0).build(N_IN)
    with pytest.raises(neko.errors.CheckpointError, match=r"backward\.layers\.0\.w_in"):
        neko.checkpoint.load_weights(single, tmp_path / "w.safetensors")
    for options in ({"chunk": 4}, {"stepwise": True}, {"stream": True}):
        with pytest.raises(ValueError, match="from its end"):
            neko.Eprop(both, **options)
    with pytest.raises(ValueError, match="from its end"):
        neko.BPTT(both, truncation=3)
    with pytest.raises(TypeError, match="from its end"):
        neko.inference.Stepwise(both)
    states, traces = both.model.record(x), neko.Eprop(both).traces(x, y)
    assert len(states) == len(traces) == 2
    assert states[1].z.shape == (BATCH, TIME, 6)
