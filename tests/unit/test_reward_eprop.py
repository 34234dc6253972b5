"""Reward-based e-prop against automatic differentiation of the actor and critic's loss, and against e-prop."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko import tree
from neko.cells import ALIF, LIF, Learnable
from neko.rules.local.reward_eprop import RewardEprop
from neko.verification.reference import unrolled

GAMMA, C_V = 0.9, 0.4
# Three environments of 13 turns with two time steps each: the first ends in a terminal state at turn 4 and is cut off
# at turn 9, the second is cut off at turn 7, the third goes on.
TURNS, STEPS, SIZE, N_IN, ACTIONS = 13, 2, 3, 5, 2
TERMINATED, TRUNCATED = {(4, 0)}, {(9, 0), (7, 1)}


def flags(places):
    found = np.zeros((TURNS, SIZE))
    for turn, i in places:
        found[turn, i] = 1.0
    return found


TERMINAL, LAST = flags(TERMINATED), flags(TERMINATED | TRUNCATED)
BEGINS = np.concatenate([np.ones((1, SIZE)), LAST[:-1]])


def network(xp, layers):
    cells = [ALIF(7, tau_m=4.0, tau_a=9.0, beta=0.4, v_th=0.6), LIF(6, tau_m=3.0, v_th=0.5)][:layers]
    return neko.Model(cells, ACTIONS + 1, xp, tau_out=3.0, readout_scaling=True, seed=2).build(N_IN)


def trajectory():
    """Inputs (turns, steps, size, n_in), rewards and actions (turns, size)."""
    rng = np.random.default_rng(5)
    x = 0.9 * rng.standard_normal((TURNS, STEPS, SIZE, N_IN))
    reward = np.where(BEGINS > 0, 0.0, rng.standard_normal((TURNS, SIZE)))
    return x, reward, rng.integers(ACTIONS, size=(TURNS, SIZE))


def by_rule(xp, model, rule, x, reward, actions):
    """The gradient that is summed step by step, the values, and the memory at the end."""
    memory, value = rule.initial_memory(model.params, SIZE), xp.zeros((SIZE,))
    feedback, total, values, rates = rule.initial_feedback(), {}, [], []
    for t in range(TURNS):
        seen = rule.advance(model.params, memory, xp.asarray(x[t]), xp.asarray(BEGINS[t]))
        before, value = value, seen.outputs[:, -1]
        after = xp.asarray(reward[t]) + GAMMA * (1.0 - xp.asarray(TERMINAL[t])) * value
        delta = xp.asarray(1.0 - BEGINS[t]) * (after - before)
        found = rule.gradient(model.params, memory, delta)
        total = {name: total.get(name, 0.0) + g for name, g in found.items()}
        policy = xp.exp(xp.log_softmax(seen.outputs[:, :-1]))
        one_hot = xp.asarray(np.eye(ACTIONS)[actions[t]])
        error = xp.concat([policy - one_hot, xp.zeros((SIZE, 1)) - C_V], axis=-1)
        memory = rule.credit(model.params, feedback, seen, error)
        values.append(np.asarray(xp.to_numpy(value)))
        rates.append([float(xp.to_numpy(xp.mean(layer[-1]))) for layer in memory.state.layers])
    assert all(0.02 < rate < 0.6 for rate in np.mean(rates, axis=0))
    return {name: np.asarray(xp.to_numpy(g)) for name, g in total.items()}, np.array(values), memory


def episodes():
    """(environment, first turn, turn of the last observation) of every episode."""
    for i in range(SIZE):
        first = 0
        for t in range(TURNS):
            if LAST[t, i] or t == TURNS - 1:
                yield i, first, t
                first = t + 1


def actor_critic_loss(xp, model, feedback, cut, params, sequence, chosen, returns, advantage):
    """``Σ_t -log π(a_t) A_t + c_V (R_t - V_t)² / 2`` of one episode, with e-prop's cuts unless `cut` is False."""
    cells, readout = [cell.without_reset() for cell in model.cells], model.network.readout
    cuts = {"cut_recurrent": cut, "cut_upward": cut, "feedback": feedback}
    y, _ = unrolled(xp, cells, params, sequence, kappa=readout.kappa, gain=readout.gain, **cuts)
    decided = y[STEPS - 1 :: STEPS, 0]
    log_policy = xp.sum(xp.log_softmax(decided[:, :-1]) * chosen, axis=-1)
    return xp.sum(0.5 * C_V * xp.square(returns - decided[:, -1]) - log_policy * advantage)


def by_autodiff(xp, model, x, reward, actions, values, feedback=None, cut=True):
    """The gradient of the loss, episode by episode, with returns from their definition by the values V of the
    trajectory."""
    total = {}
    for i, first, last in episodes():
        n = last - first
        returns = np.zeros(n)
        for t in range(n):
            returns[t] = sum(GAMMA**s * reward[first + t + 1 + s, i] for s in range(n - t))
            if not TERMINAL[last, i]:
                returns[t] += GAMMA ** (n - t) * values[last, i]
        if n == 0:
            continue
        sequence = x[first:last, :, i].reshape(n * STEPS, 1, N_IN)
        chosen, advantage = np.eye(ACTIONS)[actions[first:last, i]], returns - values[first:last, i]
        loss = functools.partial(actor_critic_loss, xp, model, feedback, cut)
        _, found = xp.value_and_grad(loss)(model.params, *map(xp.asarray, (sequence, chosen, returns, advantage)))
        total = {name: total.get(name, 0.0) + g for name, g in found.items()}
    return {name: np.asarray(xp.to_numpy(g)) for name, g in total.items()}


def deviation(found, expected):
    assert found.keys() == expected.keys()
    assert all(np.abs(e).max() > 1e-4 for e in expected.values())
    return max(np.abs(found[name] - e).max() / np.abs(e).max() for name, e in expected.items())


@pytest.mark.quick("torch")
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("mode", ["symmetric", "random"])
def test_the_sum_is_the_gradient_of_the_actor_and_critics_loss(xp, mode, layers):
    model = network(xp, layers)
    rule = RewardEprop(xp, model.network, discount=GAMMA, mode=mode, feedback_seed=3)
    x, reward, actions = trajectory()
    found, values, _ = by_rule(xp, model, rule, x, reward, actions)
    feedback = list(rule.initial_feedback().values()) or None
    expected = by_autodiff(xp, model, x, reward, actions, values, feedback)
    assert deviation(found, expected) < 1e-10


@pytest.mark.quick("torch")
def test_the_whole_gradient_is_another(xp):
    """The control: credit through recurrent weights, which e-prop cuts, would be seen."""
    model = network(xp, 1)
    x, reward, actions = trajectory()
    found, values, _ = by_rule(xp, model, RewardEprop(xp, model.network, discount=GAMMA), x, reward, actions)
    assert deviation(found, by_autodiff(xp, model, x, reward, actions, values, cut=False)) > 1e-3


@pytest.mark.quick("torch")
def test_it_learns_constants_of_a_cell_by_the_same_sum(xp):
    model = neko.Model(
        ALIF(7, tau_m=Learnable(4.0), tau_a=9.0, beta=0.4, v_th=0.6), ACTIONS + 1, xp, tau_out=3.0, seed=2
    )
    model.build(N_IN)
    x, reward, actions = trajectory()
    found, values, _ = by_rule(xp, model, RewardEprop(xp, model.network, discount=GAMMA), x, reward, actions)
    expected = by_autodiff(xp, model, x, reward, actions, values)
    assert "layers.0.constants.tau_m" in expected
    assert deviation(found, expected) < 1e-10


@pytest.mark.quick("torch")
@pytest.mark.parametrize("mode", ["symmetric", "random"])
def test_with_the_errors_gradient_for_the_reward_signal_it_is_e_prop(xp, mode):
    """γ = 0, δ = 1 and the loss's own error, one time step a turn."""
    model = network(xp, 2)
    evaluator = neko.Evaluator(model, loss="mse")
    rng = np.random.default_rng(1)
    x, y = 0.9 * rng.standard_normal((SIZE, 12, N_IN)), rng.standard_normal((SIZE, 12, ACTIONS + 1))
    expected = neko.Eprop(evaluator, mode=mode, feedback_seed=4).gradients(x, y)[1]

    batch = evaluator.batch(xp.asarray(x), xp.asarray(y), None)
    _, outputs, _ = model.network.unroll(xp, model.params, batch.x, model.network.initial_state(xp, SIZE))
    _, errors = evaluator.objective.error(xp, outputs, batch)
    rule = RewardEprop(xp, model.network, discount=0.0, mode=mode, feedback_seed=4)
    feedback, memory, total = rule.initial_feedback(), rule.initial_memory(model.params, SIZE), {}
    for t in range(12):
        seen = rule.advance(model.params, memory, batch.x[t : t + 1], xp.zeros((SIZE,)))
        memory = rule.credit(model.params, feedback, seen, errors[t])
        found = rule.gradient(model.params, memory, xp.ones((SIZE,)))
        total = {name: total.get(name, 0.0) + g for name, g in found.items()}
    total, expected = ({name: np.asarray(xp.to_numpy(g)) for name, g in a.items()} for a in (total, expected))
    assert deviation(total, expected) < 1e-10


@pytest.mark.quick("torch")
def test_the_sign_and_the_zero_of_the_third_factor_are_those_of_the_gradient(xp):
    model = network(xp, 1)
    rule = RewardEprop(xp, model.network, discount=GAMMA)
    _, _, memory = by_rule(xp, model, rule, *trajectory())
    delta = xp.asarray(np.array([0.5, -1.0, 2.0]))
    found, turned, none = (rule.gradient(model.params, memory, d) for d in (delta, -delta, 0.0 * delta))
    for name, g in found.items():
        a, b, c = (np.asarray(xp.to_numpy(h)) for h in (g, turned[name], none[name]))
        assert np.abs(a).max() > 1e-4
        np.testing.assert_array_equal(a, -b)
        assert not c.any()


@pytest.mark.quick("torch")
def test_a_new_episode_has_no_memory_of_the_last_and_no_error_for_its_first_observation(xp):
    """One whose first reward and earlier inputs are absurd has the gradient of one that starts afresh."""
    model = network(xp, 1)
    rule = RewardEprop(xp, model.network, discount=GAMMA)
    x, reward, actions = trajectory()
    at = 8  # the second environment begins an episode here
    assert BEGINS[at].tolist() == [0.0, 1.0, 0.0]
    gradients = []
    for sign in (1.0, -3.0):
        changed, paid = x.copy(), reward.copy()
        changed[:at, :, 1] *= sign
        paid[: at + 1, 1] = 100.0 * sign
        memory, value, total = rule.initial_memory(model.params, SIZE), xp.zeros((SIZE,)), 0.0
        for t in range(TURNS):
            seen = rule.advance(model.params, memory, xp.asarray(changed[t]), xp.asarray(BEGINS[t]))
            before, value = value, seen.outputs[:, -1]
            delta = xp.asarray((1.0 - BEGINS[t]) * [0.0, 1.0, 0.0]) * (xp.asarray(paid[t]) + value - before)
            if t >= at:
                total = total + rule.gradient(model.params, memory, delta)["layers.0.w_in"]
            error = xp.asarray(np.eye(ACTIONS + 1)[actions[t]])
            memory = rule.credit(model.params, {}, seen, error)
        gradients.append(np.asarray(xp.to_numpy(total)))
    assert np.abs(gradients[0]).max() > 1e-4
    np.testing.assert_array_equal(*gradients)


@pytest.mark.quick("torch")
def test_its_memory_does_not_grow(xp):
    model = network(xp, 2)
    rule = RewardEprop(xp, model.network)
    memory = rule.initial_memory(model.params, SIZE)
    shapes = [a.shape for a in tree.leaves(memory)]
    _, _, later = by_rule(xp, model, rule, *trajectory())
    assert [a.shape for a in tree.leaves(later)] == shapes


def test_options_out_of_range_are_refused():
    xp = neko.backend.get(neko.backend.default())
    net = network(xp, 1).network
    with pytest.raises(ValueError, match=r"discount=1\.5"):
        RewardEprop(xp, net, discount=1.5)
    with pytest.raises(ValueError, match="mode='adaptive'"):
        RewardEprop(xp, net, mode="adaptive")
    with pytest.raises(ValueError, match="feedback_seed=-1"):
        RewardEprop(xp, net, feedback_seed=-1)
