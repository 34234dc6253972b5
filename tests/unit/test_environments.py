"""Environments: their episodes, and that they go on from where they were."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from neko.environments import DelayedCue, Gymnasium, ShuffledRewards


def play(environment, steps, seed=0):
    """Turns by random actions."""
    rng = np.random.default_rng(seed)
    return [environment.step(rng.integers(environment.actions, size=environment.size)) for _ in range(steps)]


def equal(a, b):
    assert all(np.array_equal(x, y) for s, t in zip(a, b, strict=True) for x, y in zip(s, t, strict=True))


MADE = {
    "cue": lambda: DelayedCue(3, cue=2, delay=3, seed=4),
    "cart pole": lambda: Gymnasium("CartPole-v1", 3, scale=(2.4, 3.0, 0.21, 3.0), seed=4),
    "shuffled": lambda: ShuffledRewards(DelayedCue(4, cue=1, delay=1), seed=2),
}


@pytest.mark.parametrize("name", MADE)
def test_an_environment_goes_on_from_where_it_was(name):
    first, second, third = MADE[name](), MADE[name](), MADE[name]()
    assert np.array_equal(first.start(), second.start())
    equal(play(first, 57), play(second, 57))
    second.step(np.zeros(second.size, int))
    third.load(first.exported())
    equal(play(first, 60, 1), play(third, 60, 1))
    assert any(turn.ended.any() for turn in play(first, 60))
    assert repr(first).startswith(type(first).__name__)
    assert first.identity() == third.identity()


def test_other_seeds_are_other_episodes():
    cues = [DelayedCue(64, seed=seed).start() for seed in (0, 1)]
    assert not np.array_equal(*cues)
    assert not np.array_equal(*(Gymnasium("CartPole-v1", seed=seed).start() for seed in (0, 1)))
    both = Gymnasium("CartPole-v1", 2).start()
    assert not np.array_equal(both[0], both[1])


def test_the_cue_is_shown_then_nothing_then_go_and_only_the_last_action_counts():
    task = DelayedCue(16, cue=2, delay=3)
    seen = [task.start()]
    side = seen[0].argmax(axis=1)
    assert set(side) == {0, 1}
    turns = [task.step(1 - side) for _ in range(5)] + [task.step(side)]
    seen += [turn.observation for turn in turns]
    cue = np.eye(3)[side]
    expected = [cue, cue, 0.0 * cue, 0.0 * cue, 0.0 * cue, np.tile([0.0, 0.0, 1.0], (16, 1)), 0.0 * cue]
    np.testing.assert_array_equal(seen, expected)
    assert all(not turn.reward.any() and not turn.ended.any() for turn in turns[:-1])
    assert turns[-1].reward.tolist() == [1.0] * 16
    assert turns[-1].terminated.all()
    again = task.step(side)
    assert not again.reward.any()
    assert not again.ended.any()
    assert not np.array_equal(again.observation, cue)
    wrong = [task.step(1 - again.observation.argmax(axis=1)) for _ in range(6)][-1]
    assert wrong.reward.tolist() == [-1.0] * 16


def test_a_pole_is_that_of_gymnasium():
    """Step by step, past the end of an episode, whose last observation is kept."""
    ours, theirs = Gymnasium("CartPole-v1", scale=(1.0, 2.0, 4.0, 8.0)), gymnasium.make("CartPole-v1")
    first = ours.start()[0]
    theirs.reset(seed=0)
    theirs.unwrapped.state = first * [1.0, 2.0, 4.0, 8.0]
    for _ in range(30):
        turn, (expected, reward, terminated, truncated, _) = ours.step(np.array([1])), theirs.step(1)
        np.testing.assert_allclose(turn.observation[0] * [1.0, 2.0, 4.0, 8.0], expected, rtol=1e-5)
        assert (turn.reward[0], turn.terminated[0], turn.truncated[0]) == (reward, terminated, truncated)
        if terminated:
            break
    assert terminated
    again = ours.step(np.array([1]))
    assert (again.reward[0], again.ended[0]) == (0.0, False)
    assert np.abs(again.observation).max() <= 0.05
    assert not np.array_equal(again.observation[0], first)


def test_a_limit_of_time_cuts_an_episode_off_without_an_end():
    poles = Gymnasium(lambda: gymnasium.make("CartPole-v1", max_episode_steps=3), 2)
    poles.start()
    turns = play(poles, 3)
    assert turns[-1].truncated.tolist() == [True, True]
    assert not turns[-1].terminated.any()


class Names(DelayedCue):
    """Each environment gives its own number."""

    def step(self, actions):
        return super().step(actions)._replace(reward=np.arange(self.size))


def test_shuffled_rewards_are_the_same_on_average_and_those_of_others():
    plain, shuffled = (MADE["cue"](), ShuffledRewards(MADE["cue"](), seed=1))
    plain.start(), shuffled.start()
    pairs = list(zip(play(plain, 70), play(shuffled, 70), strict=True))
    assert all(sorted(a.reward) == sorted(b.reward) for a, b in pairs)
    assert any(a.reward.tolist() != b.reward.tolist() for a, b in pairs)
    own = ShuffledRewards(Names(5))
    drawn = {tuple(own.step(np.zeros(5, int)).reward) for _ in range(60)}
    assert len(drawn) == 4  # every other one, and never its own
    assert all(r != i for order in drawn for i, r in enumerate(order))
    assert all(np.array_equal(a.observation, b.observation) for a, b in pairs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DelayedCue(0), "size=0"),
        (lambda: DelayedCue(1, delay=-1), "delay=-1"),
        (lambda: ShuffledRewards(DelayedCue(1)), "expected two or more"),
        (lambda: Gymnasium("Pendulum-v1"), r"expected Discrete\(n\)"),
        (lambda: Gymnasium("FrozenLake-v1"), "expected Box"),
        (lambda: Gymnasium("CartPole-v1", scale=(1.0, 0.0, 1.0, 1.0)), "expected 4 numbers above 0"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
