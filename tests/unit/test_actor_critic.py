"""The agent: it learns what is rewarded and nothing else, in the same way each time, and goes on from a checkpoint."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import neko
from neko.agents.step import sampled
from neko.environments import DelayedCue, Environment, ShuffledRewards, Turn
from neko.errors import CheckpointError, NonFiniteError


class Paid(Environment):
    """Five steps with reward `pay`, whatever is done."""

    features, actions = 2, 3

    def __init__(self, size=4, *, pay=1.0):
        self.size, self.pay, self.time = size, pay, 0

    def start(self):
        self.time = 0
        return self.observation()

    def observation(self):
        return np.tile([1.0, self.time / 5.0], (self.size, 1))

    def step(self, actions):
        self.time = 0 if self.time == 5 else self.time + 1
        ended = np.full(self.size, self.time == 5)
        reward = np.full(self.size, self.pay if self.time else 0.0)
        return Turn(self.observation(), reward, ended, 0 * ended > 0)

    def exported(self):
        return {"time": self.time}

    def load(self, saved):
        self.time = saved["time"]


def build(xp="torch", environment=None, **options):
    environment = DelayedCue(6, cue=2, delay=2) if environment is None else environment
    cell = {"tau_m": 10.0, "tau_a": 60.0, "beta": 0.3, "v_th": 0.8}
    model = neko.ALIF(12, environment.actions + 1, xp, tau_out=5.0, readout_scaling=True, seed=1, **cell)
    return neko.ActorCritic(model, environment, **{"steps": 2, "every": 3, "learning_rate": 5e-3, **options})


def weights(agent):
    return {name: np.array(agent.xp.to_numpy(w)) for name, w in agent.model.params.items()}


def same(a, b):
    return all(np.array_equal(w, b[name]) for name, w in a.items())


@pytest.mark.quick("torch")
def test_a_run_is_the_same_each_time_and_goes_on_from_a_checkpoint(xp, tmp_path):
    whole, again, stopped, resumed = (build(xp) for _ in range(4))
    other = build(xp, seed=1)
    for agent in (whole, again, other):
        agent.train(20)
    assert same(weights(whole), weights(again))
    assert not same(weights(whole), weights(other))

    stopped.train(8)  # within an episode, and between two updates
    path = stopped.save(tmp_path / "agent.safetensors")
    resumed.resume(path)
    assert resumed.returns == stopped.returns
    resumed.train(12)
    assert same(weights(resumed), weights(whole))
    assert resumed.returns == whole.returns


def test_a_checkpoint_of_another_agent_is_refused():
    saved = build().exported()
    with pytest.raises(CheckpointError, match=r"discount=0\.99.*0\.5"):
        build(discount=0.5).load(saved)
    with pytest.raises(CheckpointError, match=r"environment\.delay=2"):
        build(environment=DelayedCue(6, cue=2, delay=3)).load(saved)
    with pytest.raises(CheckpointError, match="expected 'actor critic'"):
        build().load({"kind": "training"})


@pytest.mark.slow
def test_backends_act_and_learn_alike():
    """The same actions, and weights that differ by the rounding of double precision."""
    agents = [build(neko.backend.get(name, dtype="float64"), optimizer="sgd") for name in neko.backend.installed()]
    returns = [agent.train(12) for agent in agents]
    assert all(r == returns[0] for r in returns)
    for agent in agents[1:]:
        for name, w in weights(agents[0]).items():
            np.testing.assert_allclose(weights(agent)[name], w, rtol=1e-9, atol=1e-12)


def without_value(agent):
    """Let all values be zero."""
    agent.start()
    shown = agent.xp.asarray(np.array([1.0, 1.0, 1.0, 0.0]))
    agent.model.params["readout.w_out"] = agent.model.params["readout.w_out"] * shown


@pytest.mark.quick("torch")
def test_without_an_error_nothing_is_learnt(xp):
    """No reward, and values that are zero: the temporal-difference error is zero."""
    agent = build(xp, Paid(pay=0.0), optimizer="sgd", learning_rate=1.0)
    agent.start()
    agent.model.params["readout.w_out"] = agent.model.params["readout.w_out"] * xp.asarray(
        np.array([1.0, 1.0, 1.0, 0.0])
    )
    before = weights(agent)
    agent.train(18)
    assert same(weights(agent), before)


def gradient_of(pay):
    agent = build(neko.backend.get("torch", dtype="float64"), Paid(pay=pay), every=1000)
    without_value(agent)
    agent.train(9)
    return {name: np.asarray(g) for name, g in agent.carry.gradients.items()}


def test_the_opposite_reward_has_the_opposite_gradient():
    """With values that are zero, so that the reward alone makes the error."""
    paid, fined = gradient_of(1.0), gradient_of(-1.0)
    assert all(np.abs(paid[name]).max() > 1e-6 for name in ("layers.0.w_in", "layers.0.w_rec", "readout.b_out"))
    assert all(np.array_equal(g, -fined[name]) for name, g in paid.items())


@pytest.mark.slow
def test_the_value_approaches_the_return():
    """Rewards of ½ at each of five steps, discounted by one half: ½ before the last step, ¾ before the one before."""
    agent = build("torch", Paid(16), discount=0.5, every=6, learning_rate=2e-2, reward_scale=0.5)
    agent.train(6 * 100)
    values = []
    for _ in range(6):
        agent.train(1)
        values.append(float(agent.carry.value.mean()))
    expected = [0.5 * sum(0.5**s for s in range(5 - t)) for t in range(5)]
    np.testing.assert_allclose(values[:5], expected, atol=0.15)
    assert agent.returns[-1] == 5.0


def test_draws_have_the_probabilities_of_the_policy():
    """Of 2,000 equally spaced numbers exactly the share of each probability."""
    xp = neko.backend.get("torch", dtype="float64")
    p = np.array([0.125, 0.5, 0.25, 0.125])
    u = (np.arange(2000) + 0.5) / 2000
    drawn = sampled(xp, xp.asarray(np.tile(np.log(p), (2000, 1))), xp.asarray(u))
    np.testing.assert_array_equal(drawn.sum(axis=1), 1.0)
    np.testing.assert_array_equal(drawn.mean(axis=0), p)


def test_numbers_that_are_not_finite_are_named_and_change_nothing():
    agent = build(environment=Paid(pay=float("nan")))
    agent.start()
    before = weights(agent)
    with pytest.raises(NonFiniteError, match=r"step 0: gradient of layers\.0\.w_in"):
        agent.train(6)
    assert same(weights(agent), before)


def test_what_does_not_fit_is_refused():
    task = DelayedCue(2)
    model = functools.partial(neko.LIF, 5, backend="torch")
    with pytest.raises(ValueError, match="has 2 outputs: expected 3"):
        neko.ActorCritic(model(2), task)
    with pytest.raises(ValueError, match="expected bidirectional=False"):
        neko.ActorCritic(model(3, bidirectional=True), task)
    with pytest.raises(TypeError, match="expected a network of cells"):
        neko.ActorCritic("lif", task)
    with pytest.raises(TypeError, match=r"expected one of neko\.environments"):
        neko.ActorCritic(model(3), "CartPole-v1")
    for option in ({"every": 0}, {"steps": 0}, {"reward_scale": 0.0}, {"value_weight": -1.0}, {"mode": "adaptive"}):
        with pytest.raises(ValueError, match=next(iter(option))):
            neko.ActorCritic(model(3), task, **option)


def test_the_encoder_and_the_steps_say_what_the_network_is_shown():
    agent = build(encoder="place(cells=3)", steps=2)
    x = agent.inputs(np.array([[0.0, 0.5, 1.0]]))
    assert x.shape == (1, 2, 9)
    assert x[0, 0].tolist() == x[0, 1].tolist() == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert "encoder" in repr(agent)


def last_returns(seed, shuffled):
    """The mean of the last 640 returns, 1 right and -1 wrong, of 13,440 actions with a delayed cue."""
    task = DelayedCue(32, cue=2, delay=3, seed=seed)
    cell = {"tau_m": 10.0, "tau_a": 100.0, "beta": 0.3}
    model = neko.ALIF(40, 3, "torch", tau_out=5.0, readout_scaling=True, seed=seed, **cell)
    options = {"steps": 5, "discount": 0.95, "learning_rate": 1e-2, "every": 7, "seed": seed}
    return np.mean(neko.ActorCritic(model, ShuffledRewards(task) if shuffled else task, **options).train(420)[-640:])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_delayed_cue_is_learnt_and_not_from_the_rewards_of_others(seed):
    """A policy that ignores the cue has mean 0 with a standard deviation of 1/sqrt(640) = 0.04: it is above 0.5 with a
    probability below 1e-30, and above 0.3 below 1e-13. The control is shown to be one by what the same agent learns."""
    assert last_returns(seed, shuffled=False) > 0.5
    assert abs(last_returns(seed, shuffled=True)) < 0.3
