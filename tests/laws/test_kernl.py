"""KeRNL: RFLO bit for bit by a frozen kernel, exact after one step; the kernel learns what it can represent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from scipy import stats

import neko
from neko.cells import ALIF, GRU, LIF, RNN, Cell
from neko.models import Model
from neko.training.deviations import HIDDEN, deviations
from neko.training.pairs import resolve
from neko.verification.cases import Case, max_relative_error, on_host
from neko.verification.oracles.kernel import kernel
from significance import FALSE_ALARM, MISSED

from oracle import assert_moves

TIME, N_IN = 9, 3
on_torch = pytest.mark.quick("torch")


class RateState(NamedTuple):
    z: Any


@dataclass(frozen=True, eq=False)
class Leaky(Cell):
    """The rate units of Murray (2019), ``z_t = (1 - α) z_{t-1} + α tanh(I_t)`` with ``keep = 1 - α``."""

    State: ClassVar[Any] = RateState
    bias: ClassVar[bool] = True
    keep: float = 0.75

    def dynamics(self, xp, state, current):
        return RateState(self.keep * state.z + (1.0 - self.keep) * xp.tanh(current))


@dataclass(frozen=True, eq=False)
class Linear(Cell):
    """``z_t = I_t``."""

    State: ClassVar[Any] = RateState

    def dynamics(self, xp, state, current):
        return RateState(current)


def evaluator(xp, cell, **objective):
    return neko.Evaluator(Model(cell, 2, xp, tau_out=3.0, seed=4), **{"loss": "mse", **objective})


def data(time=TIME):
    rng = np.random.default_rng(1)
    mask = np.ones((3, time))
    mask[1, (2 * time + 2) // 3 :] = 0.0
    return rng.standard_normal((3, time, N_IN)), rng.standard_normal((3, time, 2)), mask


def with_kernel(rule, x, sensitivity=None, tau=None):
    """The rule, with a kernel in place of its own."""
    rule.start(x)
    for name, value in (("kernel.sensitivity", sensitivity), ("kernel.log_tau", None if tau is None else np.log(tau))):
        if value is not None:
            rule.feedback = {**rule.feedback, name: rule.xp.asarray(value)}
    return rule


@pytest.mark.quick("torch")
@pytest.mark.parametrize("mode", ["symmetric", "random", "adaptive"])
def test_the_identity_with_the_leak_is_rflo_bit_for_bit(xp, mode):
    tau = 3.5
    # The decay of this time constant as the backend has it: another exponential function may differ in the last bit.
    keep = float(xp.exp(-xp.exp(-xp.asarray(np.log([tau]))))[0])
    model, arrays = evaluator(xp, Leaky(5, keep=keep)), data()
    frozen = {"learn_kernel": False, "mode": mode, "stepwise": True, "jit": False}
    kernl = resolve("kernl")(model, tau_kernel=tau, **frozen)
    rflo = resolve("rflo")(model, mode=mode, stepwise=True, jit=False)
    found, expected = (on_host(xp, rule.gradients(*arrays)[1]) for rule in (kernl, rflo))
    assert found.keys() == expected.keys()
    for name, g in expected.items():
        assert np.abs(g).max() > 1e-6
        assert np.array_equal(found[name], g), name
    other = resolve("kernl")(model, tau_kernel=2.0 * tau, **frozen)
    assert_moves(on_host(xp, other.gradients(*arrays)[1]), expected)


@pytest.mark.quick("torch")
@on_torch
@pytest.mark.parametrize("cell", [RNN(5), GRU(4), Leaky(5), ALIF(5, v_th=0.4)])
def test_one_step_is_exact_and_several_are_not(xp, cell):
    model = evaluator(xp, cell)
    for time, same in ((1, True), (TIME, False)):
        x, y, mask = data(time)
        found, exact = (on_host(xp, resolve(rule)(model).gradients(x, y, mask)[1]) for rule in ("kernl", "bptt"))
        found = {name: found[name] for name in exact}
        assert np.abs(exact["layers.0.w_in"]).max() > 1e-4
        if same:
            assert max_relative_error(found, exact) < 1e-12
        else:
            assert_moves(found, exact, 0.05)


@pytest.mark.quick("torch")
@on_torch
@pytest.mark.parametrize("learn_kernel", [True, False])
def test_a_sequence_in_pieces_is_the_whole(xp, learn_kernel):
    x, y, mask = data()
    model = evaluator(xp, GRU(4), reduction="sum")
    made = resolve("kernl")(model, learn_kernel=learn_kernel, seed=5)
    with_kernel(made, x, np.random.default_rng(0).standard_normal((4, 4)), [9.0, 1.5, 0.1, 30.0])
    rule, feedback = made.gradient, made.feedback
    batch = model.batch(*(xp.asarray(a) for a in (x, y, mask)))._replace(number=xp.scalar(7.0))
    expected = on_host(xp, rule.differentiate(model.params, feedback, batch, None).gradients)
    assert ("kernel.log_tau" in expected) == learn_kernel
    for length in (1, 4):
        carry, total = rule.initial_carry(3), {}
        for begin in range(0, TIME, length):
            piece = batch.with_timed([None if a is None else a[begin : begin + length] for a in batch.timed()])
            found = rule.differentiate(model.params, feedback, piece, carry)
            carry = found.carry
            total = {name: total.get(name, 0.0) + g for name, g in found.gradients.items()}
        again = rule.in_chunks(model.params, feedback, batch, None, length)
        for gradients in (total, again.gradients):
            assert max_relative_error(on_host(xp, gradients), expected) < 1e-12
        shapes = [a.shape for a in neko.tree.leaves(carry)]
        assert shapes == [a.shape for a in neko.tree.leaves(rule.carry_template(3))]


@pytest.mark.quick("torch")
@on_torch
def test_a_target_for_the_mean_output_is_learnt_from_whole_sequences(xp):
    """In the order of time too, as e-prop step by step."""
    x, _, mask = data()
    case = Case(xp, evaluator(xp, GRU(4), target="mean"), x, np.random.default_rng(3).standard_normal((3, 2)), mask, {})
    case.evaluator.build(x)
    assert kernel(case, resolve("kernl")(case.evaluator)) < 1e-12
    whole, steps = (resolve("eprop")(case.evaluator, stepwise=stepwise) for stepwise in (False, True))
    assert max_relative_error(*(on_host(xp, rule.gradients(*case.data)[1]) for rule in (steps, whole))) < 1e-12
    with pytest.raises(ValueError, match="target='mean' has no error before the last step"):
        resolve("kernl")(case.evaluator, chunk=4).step(*case.data)


def test_noise_is_new_at_every_update_and_a_masked_frame_counts_nowhere():
    xp = neko.backend.get("torch", dtype="float64")
    (x, y, mask), model = data(), evaluator(xp, RNN(4))
    rule = resolve("kernl")(model, seed=5).gradient
    feedback = {**rule.initial_feedback(), "kernel.sensitivity": 2.0 * xp.eye(4)}

    def found(x, y, number, rule=rule):
        batch = model.batch(*(xp.asarray(a) for a in (x, y, mask)))._replace(number=xp.scalar(number))
        model.prepare(x)
        return on_host(xp, rule.differentiate(model.params, feedback, batch, None).gradients)

    model.prepare(x)
    padded = np.where(mask[..., None] > 0.0, x, 5.0), np.where(mask[..., None] > 0.0, y, 5.0)
    first, same, later = found(x, y, 1.0), found(*padded, 1.0), found(x, y, 2.0)
    other = found(x, y, 1.0, resolve("kernl")(model, seed=6).gradient)
    for name, g in first.items():
        assert np.array_equal(g, same[name])
        kernel = name.startswith("kernel.")
        assert np.array_equal(g, later[name]) != kernel
        assert np.array_equal(g, other[name]) != kernel


def linear(xp, w_rec, time=12, size=16):
    """A linear network with these recurrent weights and a loss that is zero, so that only the kernel learns."""
    model = evaluator(xp, Linear(len(w_rec)), loss=lambda xp, y, t: xp.sum(0.0 * y, axis=-1))
    x = np.zeros((size, time, 1))
    model.build(x)
    model.params = {**model.params, "layers.0.w_rec": xp.asarray(np.array(w_rec))}
    return model, x, np.zeros((size, time, 2))


@pytest.mark.quick("torch")
@on_torch
def test_the_kernel_learns_the_sensitivity_that_it_can_represent(xp):
    """Without coupling the influence of a neuron on itself is ``d^Δ``: A = 1 and γ = d predict it without an error, so
    that no noise is left in the gradient at the end, and the deviation shrinks by a factor again and again."""
    tau = np.array([9.0, 3.0, 1.0])
    model, x, y = linear(xp, np.diag(np.exp(-1.0 / tau)))
    options = {"optimizer": "sgd", "learning_rate": 3.0, "kernel_rate": 0.01}
    learning, frozen = (resolve("kernl")(model, learn_kernel=learn, **options) for learn in (True, False))
    start = np.eye(3) + 0.5 * np.random.default_rng(0).standard_normal((3, 3))
    for rule in (learning, frozen):
        with_kernel(rule, x, start, np.full(3, 2.0))
    away = []
    for k in range(121):
        if k % 60 == 0:
            found = on_host(xp, learning.feedback)
            wrong = found["kernel.sensitivity"] - np.eye(3), found["kernel.log_tau"] - np.log(tau)
            away.append(max(np.abs(a).max() for a in wrong))
        learning.step(x, y)
        if k < 3:
            frozen.step(x, y)
    assert away[0] > 0.4
    assert away[1] < 0.1 * away[0]
    assert away[2] < 0.1 * away[1]
    assert np.array_equal(on_host(xp, frozen.feedback)["kernel.sensitivity"], start)


@pytest.mark.slow
def test_the_kernel_rests_where_the_prediction_is_best():
    """With coupling and given decays the best A has, row by row, ``Σ_Δ N_Δ γ^Δ (W^Δ)_j / Σ_Δ N_Δ γ^{2Δ}``, with the
    number N of steps at which a kick has the age Δ. There the mean of the gradient over independent noise is zero; at
    A = 1 and at the transposed A it is not.

    Every draw is a batch of 64 sequences; each entry is tested by Student's law, and the p-value is the least times
    their number (Bonferroni). The power is that against a deviation of the size which the control shows.
    """
    xp = neko.backend.get("torch", dtype="float64")
    time, draws = 12, 120
    w_rec = np.array([[0.5, 0.4, 0.0], [-0.3, 0.3, 0.5], [0.2, 0.0, 0.6]])
    decay = np.array([0.7, 0.5, 0.8])
    model, x, y = linear(xp, w_rec, time, size=64)
    ages = np.arange(time)
    powers = np.stack([np.linalg.matrix_power(w_rec, int(k)) for k in ages])
    weight = (time - ages)[:, None] * decay ** ages[:, None]
    best = np.einsum("dj,djk->jk", weight, powers) / (weight * decay ** ages[:, None]).sum(axis=0)[:, None]
    rule = resolve("kernl")(model).gradient
    batch = model.batch(xp.asarray(x), xp.asarray(y), None)

    def p_values(a):
        feedback = {"kernel.sensitivity": xp.asarray(a), "kernel.log_tau": xp.asarray(-np.log(-np.log(decay)))}
        found = []
        for number in range(draws):
            batch_k = batch._replace(number=xp.scalar(float(number)))
            gradients = rule.differentiate(model.params, feedback, batch_k, None).gradients
            found.append(xp.to_numpy(gradients["kernel.sensitivity"]).ravel())
        found = np.array(found)
        t = np.sqrt(draws) * found.mean(axis=0) / found.std(axis=0, ddof=1)
        return t, min(1.0, t.size * 2.0 * stats.t.sf(np.abs(t), draws - 1).min())

    assert p_values(best)[1] > FALSE_ALARM
    for control in (np.eye(3), best.T):
        t, _ = p_values(control)
        tail = stats.t.isf(FALSE_ALARM / (2 * t.size), draws - 1)
        assert stats.nct.cdf(tail, draws - 1, np.abs(t).max()) < MISSED


def test_a_learnt_kernel_is_closer_to_the_exact_gradient():
    """The weights stay; only the kernel learns."""
    xp = neko.backend.get("torch", dtype="float64")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 12, 4)), rng.standard_normal((16, 2))
    model = neko.Evaluator(Model(RNN(12), 2, xp, tau_out=None, seed=2), loss="mse", target="last")
    model.build(x)
    params, exact = model.params, on_host(xp, neko.BPTT(model).gradients(x, y)[1])
    rule = resolve("kernl")(model, tau_kernel=5.0, optimizer="sgd", learning_rate=2.0)

    def cosine():
        found = on_host(xp, rule.gradients(x, y)[1])
        return deviations({name: found[name] for name in exact}, exact)[HIDDEN].cosine

    before = cosine()
    for _ in range(60):
        rule.step(x, y)
        model.params = params
    assert before < 0.8
    assert cosine() > before + 0.1


@pytest.mark.parametrize(
    "model",
    [
        lambda: Model((LIF(4), LIF(3)), 2, "torch"),
        lambda: Model(RNN(4), 2, "torch", bidirectional=True),
    ],
)
def test_a_network_of_more_than_one_layer_is_refused(model):
    with pytest.raises(ValueError, match="expected one layer and one direction"):
        resolve("kernl")(neko.Evaluator(model(), loss="mse"))


@pytest.mark.parametrize("options", [{"kernel_rate": -1.0}, {"tau_kernel": 0.0}, {"seed": -1}])
def test_a_wrong_option_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        resolve("kernl")(evaluator("torch", RNN(4)), **options)
