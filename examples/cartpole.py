"""CartPole by reward-based e-prop, online: 100 spiking neurons in 16 environments side by side.

``python examples/cartpole.py --seeds 5`` prints the mean return of the last 50 episodes for each seed; the most
is 500. It needs Gymnasium: ``pip install 'neko-learning[rl]'``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import neko
from neko.environments import Gymnasium
from neko.updates import Cosine

LAST = 50
"""Episodes of the mean return."""


def agent(seed: int, mode: str, steps: int, backend: str) -> neko.ActorCritic:
    """An actor and critic for so many steps of the environments."""
    poles = Gymnasium("CartPole-v1", 16, scale=(2.4, 3.0, 0.21, 3.0), seed=seed)  # position, speed, angle, its speed
    cell = {"tau_m": 5.0, "v_th": 0.5, "input_scaling": True}
    model = neko.LIF(100, poles.actions + 1, backend, tau_out=5.0, readout_scaling=True, seed=seed, **cell)
    return neko.ActorCritic(
        model,
        poles,
        encoder="gaussian(neurons=16, low=-1, high=1, beta=1, threshold=0.4)",
        steps=4,
        discount=0.99,
        reward_scale=0.05,
        value_weight=0.5,
        mode=mode,
        feedback_seed=seed,
        learning_rate=Cosine(2e-3, steps // 16),
        every=16,
        seed=seed,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--mode", default="symmetric", choices=("symmetric", "random"), help="feedback")
    parser.add_argument("--steps", type=int, default=8000, help="of the 16 environments")
    parser.add_argument("--backend", default="torch")
    given = parser.parse_args()
    for seed in range(given.seeds):
        begin, learner = time.process_time(), agent(seed, given.mode, given.steps, given.backend)
        returns = learner.train(given.steps)
        seconds = time.process_time() - begin
        told = f"{np.mean(returns[-LAST:]):.1f} over the last {LAST} of {len(returns)} episodes"
        print(f"seed {seed}: mean return {told}, {seconds:.0f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
