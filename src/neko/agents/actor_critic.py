"""An actor and critic that learns by reward-based e-prop."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from neko import encoders, identity, tree, updates
from neko.agents.step import ActorCriticStep, Answer, Carry
from neko.arguments import check_integer, check_number
from neko.backend.protocol import Compiled
from neko.environments.base import Environment, Turn
from neko.errors import CheckpointError
from neko.identity import representation
from neko.io import checkpoint, snapshot
from neko.models.model import Model
from neko.rules.local.reward_eprop import RewardEprop
from neko.training.step import non_finite_error

KIND = "actor critic"


class ActorCritic:
    r"""An agent that learns from rewards: actor and critic in one network of cells, by reward-based e-prop.

    The network has an output for each action, the logits of the policy π, and as its last output the value V of the
    state. At each step of the environments it gets an observation for some time steps, and an action is drawn from π of
    the last of them. The temporal-difference error

    .. math::
        δ_t = r_t + γ V_{t+1} - V_t

    (V = 0 after a terminal state; where an episode is cut off, V of its last observation) is the third factor of
    `neko.rules.local.reward_eprop.RewardEprop`. Learning is online: the memory is that of one step per environment,
    whatever the length of an episode. At the end of an episode of one environment its state, traces and filters start
    anew, those of the others go on.

    Parameters
    ----------
    model : Model
        Network of cells with ``environment.actions + 1`` outputs.
    environment : Environment
        The environments in which it acts side by side, see `neko.environments`.
    encoder : str or Encoder, optional
        Code from an observation, as a signal of one sample, to spikes; without one, features are currents.
    steps : int
        How often the coded observation is shown to the network before it acts.
    discount : float
        γ.
    reward_scale : float
        Factor of the rewards in δ, such that values are of the order of 1; `returns` have none.
    value_weight : float
        c_V, the weight of the critic's error.
    mode : {'symmetric', 'random'}
        Feedback of actor and critic to the neurons.
    feedback_seed : int
        Seed of the random feedback.
    optimizer, learning_rate, clip_norm
        As for `neko.LearningRule`.
    every : int
        Steps of the environments between two updates, by the mean gradient over steps and environments.
    seed : int
        Seed of the actions, which are the same on every backend.
    jit : bool
        Compile the step.

    Attributes
    ----------
    returns : list of float
        Sum of the rewards of every finished episode, in the order of their ends.

    Raises
    ------
    TypeError
        If `model` is no network of cells, or `environment` no environment.
    ValueError
        For another number of outputs, a bidirectional network, or an option out of its range.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Methods, "Reward-based e-prop".

    Examples
    --------
    >>> import neko
    >>> task = neko.environments.DelayedCue(8, cue=1, delay=1)
    >>> agent = neko.ActorCritic(neko.ALIF(16, task.actions + 1, "torch"), task, steps=2)
    >>> returns = agent.train(40)
    >>> len(returns), set(returns) <= {-1.0, 1.0}
    (80, True)
    """

    def __init__(
        self,
        model: Model,
        environment: Environment,
        *,
        encoder: Any = None,
        steps: int = 1,
        discount: float = 0.99,
        reward_scale: float = 1.0,
        value_weight: float = 1.0,
        mode: str = "symmetric",
        feedback_seed: int = 0,
        optimizer: Any = "adam",
        learning_rate: Any = None,
        clip_norm: float | None = None,
        every: int = 1,
        seed: int = 0,
        jit: bool = True,
    ) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"model={model!r}: expected a network of cells, for example neko.ALIF(100, 3, 'torch')")
        if not isinstance(environment, Environment):
            raise TypeError(f"environment={environment!r}: expected one of neko.environments or a subclass")
        if model.bidirectional:
            raise ValueError(f"{model!r} reads each sequence from its end too: expected bidirectional=False")
        if model.outputs != environment.actions + 1:
            raise ValueError(
                f"{model!r} has {model.outputs} outputs: expected {environment.actions + 1}, one for each action and "
                "one for the value"
            )
        self.model, self.environment, self.xp = model, environment, model.xp
        self.encoder = None if encoder is None else encoders.resolve(encoder)
        self.steps = check_integer("steps", steps)
        self.reward_scale = check_number("reward_scale", reward_scale, positive=True)
        self.value_weight = check_number("value_weight", value_weight)
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.clip_norm = updates.check_clip_norm(clip_norm)
        self.every = check_integer("every", every)
        self.seed = check_integer("seed", seed, least=0)
        xp = self.xp
        self.rule = RewardEprop(xp, model.network, discount, mode, feedback_seed)
        self.discount, self.mode, self.feedback_seed = discount, mode, feedback_seed
        self.schedule = updates.resolve(xp, optimizer, learning_rate)
        self.update = self.schedule.update
        step = ActorCriticStep(xp, self.rule, self.update, self.reward_scale, self.value_weight, self.clip_norm)
        compiled = xp.jit if jit else functools.partial(Compiled, xp, lambda f: f)
        self._act, self._learn = compiled(step.act), compiled(step.learn)
        self.acted = self.updates = 0
        self.returns: list[float] = []
        self.turn: Turn | None = None

    def __repr__(self) -> str:
        told = [repr(self.model), repr(self.environment), *representation.options(self)]
        return f"{type(self).__name__}({', '.join(told)})"

    def train(self, steps: int) -> list[float]:
        """Act and learn for so many steps of the environments; the returns of the episodes that ended in them.

        Raises
        ------
        NonFiniteError
            When a gradient or a parameter is not finite; the model keeps its parameters from before the update.
        """
        count, first = check_integer("steps", steps), len(self.returns)
        turn = self.start()
        for _ in range(count):
            actions = self.act(turn)
            if self.acted % self.every == 0:
                self.learn()
            self.begins = turn.ended
            self.turn = turn = self.environment.step(actions)
            self.running += turn.reward
            self.returns += self.running[turn.ended].tolist()
            self.running[turn.ended] = 0.0
        return self.returns[first:]

    def start(self) -> Turn:
        """The present turn; at the first call the first observations, for which the model is built."""
        xp, model = self.xp, self.model
        if self.turn is None:
            size, observation = self.environment.size, self.environment.start()
            nothing = np.zeros(size)
            self.turn = Turn(observation, nothing, nothing > 0.0, nothing > 0.0)
            self.begins, self.running = nothing == 0.0, np.zeros(size)
            model.build(self.inputs(observation).shape[2])
            with xp.scope():
                self.feedback = self.rule.initial_feedback()
                memory = self.rule.initial_memory(model.params, size)
                self.carry = Carry(memory, xp.zeros((size,)), tree.map(xp.zeros_like, model.params))
                self.update_state = self.update.init(model.params)
                self.key = xp.random.key(self.seed)
        with xp.scope():
            model.params, self.update_state = self.update.hold(model.params, self.update_state)
        return self.turn

    def act(self, turn: Turn) -> np.ndarray:
        """The actions (size,) after an observation."""
        xp = self.xp
        with xp.scope():
            x = xp.asarray(np.ascontiguousarray(self.inputs(turn.observation).swapaxes(0, 1), np.float64))
            flags = (turn.reward, turn.terminated, self.begins)
            answer = Answer(x, *(xp.asarray(np.asarray(flag, np.float64)) for flag in flags))
            number = xp.asarray(np.int64(self.acted))
        self.carry, chosen = self._act(self.model.params, self.feedback, self.carry, answer, self.key, number)
        self.acted += 1
        return np.asarray(xp.to_numpy(chosen)).argmax(axis=1)

    def learn(self) -> None:
        """An update by the gradients since the last one."""
        xp, model, rate = self.xp, self.model, self.schedule.rate(self.updates)
        with xp.scope():
            given = (xp.scalar(float(self.every * self.environment.size)), xp.scalar(rate))
        total = self.carry.gradients
        model.params, self.update_state, total, finite = self._learn(model.params, self.update_state, total, *given)
        good = np.asarray(xp.to_numpy(finite))
        if not good.all():
            names = sorted(total)
            told = [f"gradient of {name}" for name in names] + [f"{name} after the update" for name in names]
            clipped = self.clip_norm is not None
            raise non_finite_error(self.updates, told[int(good.argmin())], rate=rate, clipped=clipped)
        self.carry = self.carry._replace(gradients=total)
        self.updates += 1

    def inputs(self, observation: np.ndarray) -> np.ndarray:
        """An observation (size, features) as inputs (size, time, n_in)."""
        x = observation[:, None]
        return np.tile(x if self.encoder is None else self.encoder.encode(x), (1, self.steps, 1))

    def identity(self) -> dict[str, Any]:
        """All that the agent's numbers depend on, by value."""
        return {
            "backend": self.xp.name,
            "dtype": self.xp.dtype_name,
            "products": self.xp.products,
            "model": self.model.identity(),
            **identity.options(self, optimizer=self.update, learning_rate=self.schedule.learning_rate),
        }

    def exported(self) -> dict[str, Any]:
        """All that later steps depend on, as dicts, lists, numbers and NumPy arrays."""
        xp, turn = self.xp, self.start()
        with xp.scope():
            arrays = {name: snapshot.exported(xp, value) for name, value in self.arrays().items()}
            return {
                "kind": KIND,
                "identity": self.identity(),
                **arrays,
                "update": self.update.exported(xp, self.update_state),
                "turn": {name: np.array(a) for name, a in turn._asdict().items()},
                "begins": np.array(self.begins),
                "running": self.running.copy(),
                "returns": list(self.returns),
                "counts": [self.acted, self.updates],
                "environment": self.environment.exported(),
            }

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from what `exported` returned, to the same numbers on the same backend and machine.

        Raises
        ------
        CheckpointError
            If it is of another agent, model or environment; the message names the differences.
        """
        if saved.get("kind") != KIND:
            raise CheckpointError(f"it holds {saved.get('kind')!r}: expected {KIND!r}")
        self.start()
        xp = self.xp
        identity.compare(saved["identity"], self.identity(), (), this="this agent")
        with xp.scope():
            found = {name: snapshot.loaded(xp, now, saved[name], name) for name, now in self.arrays().items()}
            self.update_state = self.update.loaded(xp, self.update_state, saved["update"])
        self.model.params, self.feedback, self.carry = found["params"], found["feedback"], found["carry"]
        self.turn, self.begins = Turn(**saved["turn"]), saved["begins"]
        self.running, self.returns = saved["running"].copy(), list(saved["returns"])
        self.acted, self.updates = saved["counts"]
        self.environment.load(saved["environment"])

    def arrays(self) -> dict[str, Any]:
        """The trees of the backend's arrays that a checkpoint has."""
        return {"params": self.model.params, "feedback": self.feedback, "carry": self.carry}

    def save(self, path: str | Path) -> Path:
        """Write `exported` to a file, whole or not at all; its path."""
        return checkpoint.write(path, self.exported())

    def resume(self, path: str | Path) -> None:
        """As `load`, from a file that `save` wrote."""
        with checkpoint.expected(path):
            self.load(checkpoint.read(path))
