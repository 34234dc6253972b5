"""The paper's finding on gradients: symmetric e-prop lies closest to BPTT, and adaptive deviates more than random.

``python -m benchmarks.compare_seeds [SEEDS] [EPOCHS]`` follows ALIF-128 on MNIST rows along three ways of training:
by BPTT, by adaptive e-prop, and by adaptive e-prop with a decay of output and feedback weights. Every rule starts
with the same feedback weights; random feedback keeps them, adaptive feedback learns. Mean over seeds ± standard
deviation, of the relative deviation from BPTT and the cosine with it, over the weights that feedback trains.
"""

from __future__ import annotations

import functools
import sys

import numpy as np

import neko
from neko import datasets

WEIGHTS = ("layers.0.w_in", "layers.0.w_rec")
OTHERS = ["eprop:symmetric", "eprop:random"]


def followed(way: str, seed: int, epochs: int) -> neko.GradientComparison:
    """A finished comparison."""
    data = datasets.load("mnist").one_hot()
    model = neko.Evaluator(neko.ALIF(128, 10, "jax", seed=seed), loss="categorical_crossentropy")
    adaptive = functools.partial(neko.Eprop, mode="adaptive", feedback_seed=seed)
    if way == "BPTT":
        comparison = neko.GradientComparison(neko.BPTT(model), [*OTHERS, adaptive], every=20)
    else:
        primary = adaptive(model, feedback_decay=1e-3 if "decay" in way else 0.0)
        comparison = neko.GradientComparison(
            primary, ["bptt", *OTHERS], reference="bptt", every=20, sync_feedback=False
        )
    neko.Trainer(comparison).train(data.x_train, data.y_train, epochs=epochs, seed=seed, progress=False)
    return comparison


def main(seeds: int = 5, epochs: int = 2) -> None:
    print("trained by | rule | tensor | relative deviation | cosine | closest in seeds")
    for way in ("BPTT", "adaptive e-prop", "adaptive e-prop, decay 1e-3"):
        runs = [followed(way, seed, epochs) for seed in range(seeds)]
        for tensor in WEIGHTS:
            found = {f: [run.mean(f, tensor) for run in runs] for f in ("relative", "cosine")}
            for rule in ("eprop:symmetric", "eprop:random", "eprop:adaptive"):
                relative, cosine = (np.array([row[rule] for row in found[f]]) for f in ("relative", "cosine"))
                best = sum(
                    min((r for r in row if r != "bptt"), key=lambda r: row[r]) == rule for row in found["relative"]
                )
                print(
                    f"{way} | {rule} | {tensor} | {relative.mean():.3f} ± {relative.std(ddof=1):.3f} | "
                    f"{cosine.mean():.3f} ± {cosine.std(ddof=1):.3f} | {best}/{seeds}",
                    flush=True,
                )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
