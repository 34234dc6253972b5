"""Spike-timing rules: the window, trains worked by hand, rewards, masks, pieces; what learns, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

import neko
from neko.cells import ALIF, GRU, LIF, Cell
from neko.models import Model
from neko.rules.local.reward_stdp import RewardSTDP
from neko.rules.local.stdp import STDP
from neko.training.pairs import resolve
from neko.verification.cases import Case, max_relative_error, on_host
from neko.verification.oracles.spike_timing import spike_pairs

from oracle import liveness

HALF = 1.0 / math.log(2.0)
"""A time constant whose traces halve at each step of 1 ms."""
TIME = 24
on_torch = pytest.mark.quick("torch")


class RelayState(NamedTuple):
    z: Any


@dataclass(frozen=True, eq=False)
class Relay(Cell):
    """A neuron spikes where its input is above ½, whatever the others do, so that a test chooses every spike."""

    State: ClassVar[Any] = RelayState
    spiking: ClassVar[bool] = True
    recurrent_currents: ClassVar[tuple[int, ...]] = (1,)

    def dynamics(self, xp, state, current, recurrent):
        return RelayState(xp.astype(current > 0.5, xp.dtype) + 0.0 * recurrent)


def relays(xp, units=1, **objective):
    """Neurons that copy input channels 1, 2, …; channel 0 arrives at all of them and drives none."""
    model = neko.Evaluator(Model(Relay(units), 2, xp, tau_out=5.0, seed=1), **{"loss": "mse", **objective})
    model.build(np.zeros((1, TIME, 1 + units)))
    w_in = np.concatenate([np.zeros((1, units)), np.eye(units)])
    model.params = {**model.params, "layers.0.w_in": model.xp.asarray(w_in)}
    return model


def trains(*channels):
    """Spikes (1, TIME, channels) at these steps."""
    x = np.zeros((1, TIME, len(channels)))
    for channel, steps in enumerate(channels):
        x[0, list(steps), channel] = 1.0
    return x


def change(rule, x, y=None, mask=None, name="layers.0.w_in"):
    """What an update of rate 1 would add to a weight matrix."""
    y = np.zeros((len(x), x.shape[1], 2)) if y is None else y
    return -rule.xp.to_numpy(rule.gradients(x, y, mask)[1][name])


@pytest.mark.quick("torch")
@on_torch
def test_a_single_pair_changes_the_weight_by_the_window(xp):
    rule = resolve("stdp")(relays(xp), a_plus=0.7, a_minus=0.4, tau_plus=6.0, tau_minus=11.0)
    for lag in range(-11, 12):
        expected = 0.7 * math.exp(-lag / 6.0) if lag >= 0 else -0.4 * math.exp(lag / 11.0)
        found = change(rule, trains([12], [12 + lag]))
        assert found[0, 0] == pytest.approx(expected, rel=1e-12), f"lag {lag}"


@pytest.mark.quick("torch")
def test_a_train_worked_by_hand(xp):
    """Arrivals at 2 and 5, spikes at 3, 5 and 9, traces that halve at each step."""
    rule = resolve("stdp")(relays(xp), a_plus=1.0, a_minus=2.0, tau_plus=HALF, tau_minus=HALF)
    causal = 1 / 2 + 1 / 8 + 1 / 128 + 1 + 1 / 16  # 2→3, 2→5, 2→9, 5→5, 5→9
    acausal = 1 / 4  # 3→5
    x = trains([2, 5], [3, 5, 9])
    assert change(rule, x)[0, 0] == pytest.approx(causal - 2.0 * acausal, rel=1e-12)
    silent = np.zeros_like(x)
    assert change(rule, np.concatenate([x, silent]))[0, 0] == pytest.approx(causal / 2 - acausal, rel=1e-12)


@pytest.mark.quick("torch")
def test_a_recurrent_spike_arrives_one_step_later(xp):
    rule = resolve("stdp")(relays(xp, 2), a_plus=1.0, a_minus=1.0, tau_plus=HALF, tau_minus=HALF)
    found = change(rule, trains([], [3], [4]), name="layers.0.w_rec")
    np.testing.assert_allclose(found, [[-1 / 2, 1.0], [-1 / 4, -1 / 2]], rtol=1e-12)


@pytest.mark.quick("torch")
def test_an_update_potentiates_the_cause(xp):
    model = relays(xp)
    before = xp.to_numpy(model.params["layers.0.w_in"])[0, 0]
    resolve("stdp")(model, optimizer="sgd", learning_rate=0.5).step(trains([4], [4]), np.zeros((1, TIME, 2)))
    assert xp.to_numpy(model.params["layers.0.w_in"])[0, 0] == pytest.approx(before + 0.5)


@pytest.mark.quick("torch")
@on_torch
def test_the_same_trains_later_change_the_same(xp):
    rng = np.random.default_rng(0)
    x = np.zeros((2, TIME, 3))
    x[:, 2:12] = rng.random((2, 10, 3)) < 0.4
    rule = resolve("stdp")(relays(xp, 2))
    for name in ("layers.0.w_in", "layers.0.w_rec"):
        first, later = (change(rule, np.roll(x, shift, axis=1), name=name) for shift in (0, 9))
        assert np.abs(first).max() > 0.1
        np.testing.assert_allclose(later, first, rtol=1e-12, atol=1e-14)


def spiking_case(xp, cells, **objective):
    """Sequences of unequal length for a network that spikes, as the oracles of rules take them."""
    rng = np.random.default_rng(2)
    model = neko.Evaluator(Model(cells, 2, xp, tau_out=7.0, seed=1), **{"loss": "mse", **objective})
    x = 2.0 * (rng.random((3, TIME, 4)) < 0.4)
    y, mask = rng.standard_normal((3, TIME, 2)), np.ones((3, TIME))
    mask[1, 15:] = 0.0
    model.build(x)
    for states in model.model.record(x):
        liveness(states[-1])
    return Case(xp, model, x, y, mask, {})


STACK = (ALIF(5, v_th=0.6), LIF(4, v_th=0.3, recurrent=False))


@pytest.mark.quick("torch")
@on_torch
@pytest.mark.parametrize("options", [{}, {"w_max": 0.7, "a_plus": 0.3, "a_minus": 0.2, "tau_plus": 3.0}])
def test_all_pairs_of_a_stack_count(xp, options):
    case = spiking_case(xp, STACK)
    assert spike_pairs(case, resolve("stdp")(case.evaluator, **options)) < 1e-12


@pytest.mark.quick("torch")
def test_bounded_weights_rest_where_both_changes_cancel(xp):
    """``A_+ (w_max - w) = A_- w (e^{-1/τ} + e^{-5/τ})``, for a causal pair at lag 0 and two acausal ones. The weight
    stays below ½, so that it drives no spike."""
    model, acausal = relays(xp), 1 / 2 + 1 / 2**5  # 4→4; 8→9, 4→9
    rule = resolve("stdp")(model, w_max=0.4, a_plus=0.5, a_minus=0.8, tau_minus=HALF, tau_plus=0.01)
    rest = 0.4 * 0.5 / (0.5 + 0.8 * acausal)
    for w, expected in ((0.0, 0.5 * 0.4), (rest, 0.0), (0.4, -0.8 * 0.4 * acausal)):
        model.params = {**model.params, "layers.0.w_in": xp.asarray(np.array([[w], [1.0]]))}
        assert change(rule, trains([4, 9], [4, 8]))[0, 0] == pytest.approx(expected, rel=1e-12, abs=1e-15)


RULES = {
    "stdp": lambda model: STDP(model),
    "reward": lambda model: RewardSTDP(model, tau_eligibility=9.0),
    "running": lambda model: RewardSTDP(model, baseline="running", w_max=0.8),
}


@pytest.mark.quick("torch")
@on_torch
@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("length", [1, 7])
def test_a_sequence_in_pieces_is_the_whole(xp, kind, length):
    case = spiking_case(xp, STACK, reduction="sum")
    model, made = case.evaluator, RULES[kind](case.evaluator)
    feedback = made.initial_feedback()
    batch = model.batch(*(xp.asarray(a) for a in case.data))
    whole = made.differentiate(model.params, feedback, batch, None)
    again = made.in_chunks(model.params, feedback, batch, None, length)
    carry, total = made.initial_carry(3), {}
    for begin in range(0, TIME, length):
        piece = batch.with_timed([None if a is None else a[begin : begin + length] for a in batch.timed()])
        found = made.differentiate(model.params, feedback, piece, carry)
        carry = found.carry
        total = {name: total.get(name, 0.0) + g for name, g in found.gradients.items()}
    expected = on_host(xp, whole.gradients)
    for gradients in (again.gradients, total):
        assert max_relative_error(on_host(xp, gradients), expected) < 1e-12
    shapes = [a.shape for a in neko.tree.leaves(carry)]
    assert shapes == [a.shape for a in neko.tree.leaves(made.carry_template(3))]


@pytest.mark.parametrize("kind", RULES)
def test_a_masked_frame_counts_nowhere(kind):
    case = spiking_case(neko.backend.get("torch", dtype="float64"), STACK)
    model, batch = case.evaluator, case.evaluator.batch
    made, (x, y, mask) = RULES[kind](model), case.data
    other, target = np.where(mask[..., None] > 0, x, 2.0), np.where(mask[..., None] > 0, y, 9.0)
    found = []
    for data in ((x, y, mask), (other, target, mask)):
        arrays = [made.xp.asarray(a) for a in data]
        gradient = made.differentiate(model.params, made.initial_feedback(), batch(*arrays), None)
        found.append(on_host(made.xp, gradient.gradients))
    assert not np.array_equal(x, other)
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.quick("torch")
def test_the_neurons_do_not_see_the_targets_and_the_readout_learns_by_its_exact_gradient(xp):
    case = spiking_case(xp, ALIF(5, v_th=0.6))
    x, y, mask = case.data
    found, other = (on_host(xp, resolve("stdp")(case.evaluator).gradients(x, t, mask)[1]) for t in (y, -y))
    exact = on_host(xp, neko.BPTT(case.evaluator).gradients(*case.data)[1])
    for name, g in found.items():
        assert np.array_equal(g, other[name]) != name.startswith("readout.")
        assert (np.abs(g - exact[name]).max() < 1e-12) == name.startswith("readout.")


# Rewards


def plain_reward(value):
    """A reward that is the same at every frame."""
    return lambda xp, outputs, target: value + 0.0 * outputs[..., 0]


@pytest.mark.quick("torch")
def test_reward_one_without_a_wait_is_stdp_exactly(xp):
    case = spiking_case(xp, ALIF(5, v_th=0.6))
    unsupervised = on_host(xp, resolve("stdp")(case.evaluator).gradients(*case.data)[1])
    for value, sign in ((1.0, 1.0), (-1.0, -1.0), (0.0, 0.0)):
        options = {"reward": plain_reward(value), "baseline": 0.0, "tau_eligibility": 1e-3}
        found = on_host(xp, resolve("reward_stdp")(case.evaluator, **options).gradients(*case.data)[1])
        for name in ("layers.0.w_in", "layers.0.w_rec"):
            assert np.abs(unsupervised[name]).max() > 0.1
            assert np.array_equal(found[name], sign * unsupervised[name])


@pytest.mark.quick("torch")
def test_a_pair_waits_for_its_reward(xp):
    """One pair at step 4, one reward at the last valid frame: ``A_+ e^{-Δ/τ_+} r e^{-D/τ_e}``."""
    model = relays(xp, target="last", loss=lambda xp, y, t: xp.sum(0.0 * y, axis=-1))
    rule = resolve("reward_stdp")(model, reward=plain_reward(-3.0), baseline=-1.0, tau_eligibility=8.0, tau_plus=5.0)
    mask = np.ones((1, TIME))
    mask[0, 15:] = 0.0
    found = change(rule, trains([4], [6]), np.zeros((1, 2)), mask)
    assert found[0, 0] == pytest.approx(-2.0 * math.exp(-2 / 5.0) * math.exp(-(14 - 6) / 8.0), rel=1e-12)


def modulator(model, x, y, mask=None, **options):
    """m (time, batch), from the signals that the rule reports."""
    traces = resolve("reward_stdp")(model, **options).traces(x, y, mask)
    return -len(x) * traces[0].signal[..., 0].T


@pytest.mark.quick("torch")
@pytest.mark.parametrize(("target", "sparse"), [("every", "sparse_"), ("last", ""), ("mean", "sparse_")])
def test_a_reward_for_the_right_class_comes_when_the_objective_says(xp, target, sparse):
    """Four sequences of the same label; the readout says class 0 where channel 1 has spiked."""
    model = relays(xp, target=target, loss=f"{sparse}categorical_crossentropy")
    y = np.zeros(4, dtype=int) if sparse else np.eye(2)[[0, 0, 0, 0]]
    w_out, b_out = np.array([[1.0, -1.0]]), np.array([-0.01, 0.01])
    model.params = {**model.params, "readout.w_out": xp.asarray(w_out), "readout.b_out": xp.asarray(b_out)}
    x = np.concatenate([trains([], steps) for steps in ([0], [0], [12], [])])
    m = modulator(model, x, y, reward="correct", baseline=0.0)
    right = np.array([[1] * TIME, [1] * TIME, [-1] * 12 + [1] * 12, [-1] * TIME]).T
    if target != "every":
        right[:-1] = 0
    np.testing.assert_array_equal(m[:12], right[:12])
    np.testing.assert_array_equal(m[-1], right[-1])
    beyond = modulator(model, x, y, reward="correct")
    np.testing.assert_allclose(beyond[-1], [0.5, 0.5, 0.5, -1.5], rtol=1e-12)


@pytest.mark.quick("torch")
def test_a_running_mean_of_the_reward_learns_with_the_update(xp):
    model = relays(xp)
    rule = resolve("reward_stdp")(
        model, reward=plain_reward(3.0), baseline="running", optimizer="sgd", learning_rate=0.25
    )
    for _ in range(4):
        rule.step(trains([4], [4]), np.zeros((1, TIME, 2)))
    assert float(rule.feedback["baseline"]) == pytest.approx(3.0 * (1.0 - 0.75**4))


@pytest.mark.quick("torch")
def test_the_reported_signals_and_traces_make_up_the_gradient(xp):
    case = spiking_case(xp, ALIF(5, v_th=0.6))
    for rule in (resolve("stdp")(case.evaluator), resolve("reward_stdp")(case.evaluator, tau_eligibility=9.0)):
        (found,) = rule.traces(*case.data)
        gradients = on_host(xp, rule.gradients(*case.data)[1])
        for name, filtered in found.filtered.items():
            total = np.einsum("btn,btpn->pn", found.signal, filtered)
            np.testing.assert_allclose(total, gradients[f"layers.0.{name}"], rtol=1e-10, atol=1e-13)
    batch = case.evaluator.batch(*(xp.asarray(a) for a in case.data))
    rms = rule.gradient.signal_rms(case.evaluator.params, {}, batch)
    expected = np.sqrt((case.mask * found.signal[..., 0] ** 2).sum() / case.mask.sum())
    assert float(rms["layers.0"]) == pytest.approx(expected, rel=1e-12)


# Refusals


@pytest.mark.parametrize("name", ["stdp", "reward_stdp"])
@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (lambda: Model((LIF(4), GRU(3)), 2, "torch"), ValueError, r"GRU\(3\) emits rates"),
        (lambda: Model(LIF(4), 2, "torch", bidirectional=True), ValueError, "orders spikes in time"),
        (lambda: neko.LIF(4, 2, "torch", tau_m=neko.Learnable(5.0)), TypeError, "changes weights only"),
    ],
)
def test_a_network_without_times_of_spikes_is_refused(name, model, error, words):
    with pytest.raises(error, match=words):
        resolve(name)(neko.Evaluator(model(), loss="mse"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reward": "accuracy"}, "reward='accuracy'"),
        ({"reward": "correct"}, "has no classes"),
        ({"baseline": "mean"}, "baseline='mean'"),
        ({"tau_eligibility": 0.0}, "tau_eligibility=0.0"),
        ({"a_plus": -1.0}, "a_plus=-1.0"),
        ({"w_max": 0.0}, "w_max=0.0"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        resolve("reward_stdp")(relays("torch"), **options)


def test_one_sequence_has_no_expectation_of_its_own():
    with pytest.raises(ValueError, match="of one sequence is its own reward"):
        resolve("reward_stdp")(relays("torch")).step(trains([4], [4]), np.zeros((1, TIME, 2)))


@pytest.mark.parametrize("name", ["stdp", "reward_stdp"])
def test_rewards_that_come_once_need_whole_sequences(name):
    model = relays("torch", target="mean", loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="whole sequence"):
        resolve(name)(model, chunk=5).step(np.repeat(trains([4], [4]), 2, axis=0), np.eye(2))
