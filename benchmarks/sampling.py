"""Effective draws per second beside blackjax, MALA and HMC on JAX: ``python -m benchmarks.sampling``.

The same densities, step sizes, trajectories and numbers of chains and transitions, each sampler in one compiled scan:
what differs is what a transition costs beyond the gradients it needs. CPU time, so that other work on the machine
counts little; medians over rounds in which each has its turn, and of the ratios within a round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import arviz
import blackjax
import jax
import jax.numpy as jnp
import numpy as np

import neko
from neko.samplers import hmc, langevin

ROUNDS, CHAINS, BURN_IN, TRANSITIONS = 7, 4, 500, 5000
STEPS = 10
"""Leapfrog steps of a trajectory."""
SIZES = {
    "Gaussian, 100 dimensions": {"MALA": 0.65, "HMC": 0.8},
    "logistic regression": {"MALA": 0.0065, "HMC": 0.1},
}
"""Step sizes with which each accepts about as often as is best for it."""


def gaussian() -> tuple[int, Callable[[Any], Any]]:
    """100 independent dimensions with standard deviations from 1 to 3."""
    deviations = jnp.linspace(1.0, 3.0, 100)
    return 100, lambda w: -0.5 * jnp.sum(jnp.square(w / deviations))


def logistic(examples: int = 500, features: int = 25) -> tuple[int, Callable[[Any], Any]]:
    """Two classes by a linear function of normal features; prior N(0, 1)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, features))
    w = rng.standard_normal(features) / np.sqrt(features)
    sign = np.where(rng.uniform(size=examples) < 1.0 / (1.0 + np.exp(-2.0 * x @ w)), 1.0, -1.0)
    signed = jnp.asarray(sign[:, None] * x, jnp.float32)
    return features, lambda w: -jnp.sum(jax.nn.softplus(-(signed @ w))) - 0.5 * jnp.sum(jnp.square(w))


DENSITIES = {"Gaussian, 100 dimensions": gaussian, "logistic regression": logistic}


def ours(size: int, density: Any, sampler: str, step_size: float) -> tuple[Callable[[Any], Any], Callable[..., Any]]:
    """`init` and `step` of the library for one chain."""
    xp = neko.backend.get("jax", dtype="float32")
    method, options = (langevin, {}) if sampler == "MALA" else (hmc, {"steps": STEPS})

    def target(position: Any) -> Any:
        value, gradient = jax.value_and_grad(density)(position["w"])
        return value, {"w": gradient}

    def step(key: Any, state: Any) -> tuple[Any, Any, Any]:
        state, info = method.step(xp, jax.random.key_data(key), state, target, step_size, **options)
        return state, state.position["w"], info.acceptance_probability

    return lambda: method.init(xp, {"w": jnp.zeros(size)}, target), step


def theirs(size: int, density: Any, sampler: str, step_size: float) -> tuple[Callable[[Any], Any], Callable[..., Any]]:
    """The same of blackjax."""
    chosen = (
        blackjax.mala(density, step_size)
        if sampler == "MALA"
        else blackjax.hmc(density, step_size, jnp.ones(size), STEPS)
    )

    def step(key: Any, state: Any) -> tuple[Any, Any, Any]:
        state, info = chosen.step(key, state)
        return state, state.position, info.acceptance_rate

    return lambda: chosen.init(jnp.zeros(size)), step


def run(init: Any, step: Any, transitions: int) -> Callable[[Any], Any]:
    """Chains one after the other in one program: draws (chains, transitions, size), and the acceptance."""

    def chain(key: Any) -> Any:
        def advance(carry: Any, _: None) -> Any:
            key, state = carry
            key, now = jax.random.split(key)
            state, draw, acceptance = step(now, state)
            return (key, state), (draw, acceptance)

        return jax.lax.scan(advance, (key, init()), None, length=transitions)[1]

    return jax.jit(lambda key: jax.lax.map(chain, jax.random.split(key, CHAINS)))


def effective(draws: np.ndarray) -> float:
    """Mean of the effective sample sizes of all entries."""
    return float(np.mean(arviz.ess(arviz.convert_to_dataset({"w": draws[:, BURN_IN:]}))["w"].values))


def measure(rounds: int = ROUNDS, transitions: int = TRANSITIONS) -> list[dict[str, Any]]:
    """A row for each density and sampler: acceptance, microseconds a transition and effective draws per CPU second of
    both, and the median ratio of the latter."""
    rows = []
    for name, make in DENSITIES.items():
        for sampler, step_size in SIZES[name].items():
            both = {who.__name__: run(*who(*make(), sampler, step_size), transitions) for who in (ours, theirs)}
            took: dict[str, list[float]] = {who: [] for who in both}
            sizes: dict[str, list[float]] = {who: [] for who in both}
            accepted = {}
            for number in range(rounds + 1):
                for who, call in both.items():
                    begin = time.process_time()
                    draws, acceptance = jax.block_until_ready(call(jax.random.key(number)))
                    if number:  # the first one compiles
                        took[who].append(time.process_time() - begin)
                        sizes[who].append(effective(np.asarray(draws)))
                    accepted[who] = float(acceptance.mean())
            # both draw the same chain in law: their effective sizes are one number, better known from all rounds
            rate = {w: [statistics.mean(sizes[w]) / seconds for seconds in took[w]] for w in both}
            rows.append(
                {
                    "density": name,
                    "sampler": sampler,
                    "acceptance": accepted,
                    "us": {w: 1e6 * statistics.median(took[w]) / (CHAINS * transitions) for w in both},
                    "ess": {w: statistics.mean(sizes[w]) for w in both},
                    "ess per second": {w: statistics.median(rate[w]) for w in both},
                    "ratio": statistics.median(a / b for a, b in zip(rate["ours"], rate["theirs"], strict=True)),
                }
            )
    return rows


if __name__ == "__main__":
    for row in measure():
        print(row, flush=True)
