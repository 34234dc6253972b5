"""The rows of figure 3: Bayesian methods, the networks that they train, and the numbers of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from neko.bayes import METHODS
from neko.bayes.sampling import Sampling
from neko.updates import Cosine


@dataclass(frozen=True)
class Recipe:
    """A method with its numbers.

    `rate` is the learning rate, which falls to zero by half a cosine over all updates; None leaves the step to the
    method. `units` is the size of the layer, None for that of the settings. With `constant` a further input is always
    1, so that every neuron learns a threshold of its own. With `leaks` neurons' factors of a step, exp(-dt/τ_m), are
    between these two, at equal distances. With `warm` every chain starts from a network of its own that Adam has
    trained. With `centre` predictions are those of the one network at the centre of the distribution. With `held` this
    share of the examples to train, the last ones, is kept for the temperature by which predictions are scaled. `seeds`
    is the largest number of seeds, None for any.
    """

    method: str
    epochs: int
    options: dict[str, Any]
    rate: float | None = None
    batch: int = 128
    cell: str = "LIF"
    network: dict[str, Any] = field(default_factory=dict)
    units: int | None = None
    constant: bool = False
    leaks: tuple[float, float] | None = None
    sequence: bool = False
    warm: bool = False
    centre: bool = False
    held: float = 0.0
    seeds: int | None = None

    @property
    def kind(self) -> Any:
        """The class of the method."""
        return METHODS.get(self.method)

    @property
    def sampler(self) -> bool:
        """Whether its draws are of Markov chains."""
        return issubclass(self.kind, Sampling)

    @property
    def combination(self) -> bool:
        """Whether several networks, trained independently, are combined."""
        return self.method == "ensemble"

    def schedule(self, examples: int) -> dict[str, Any]:
        """The learning rate as an option."""
        updates = self.epochs * -(-examples // self.batch)
        return {} if self.rate is None else {"learning_rate": Cosine(self.rate, updates)}

    def quick(self) -> Recipe:
        """A few epochs and draws."""
        if self.sampler:
            return replace(self, epochs=10, options=self.options | {"warmup": 4, "chains": 2, "thinning": 1})
        draws = {} if self.method == "point" else {"draws": 4}
        return replace(self, epochs=2, options=self.options | draws)

    def told(self) -> str:
        """All numbers in a line."""
        parts = [f"{self.method}: {self.epochs} epochs", f"batches of {self.batch}"]
        parts += [] if self.rate is None else [f"rate {self.rate:g} with cosine"]
        parts += [f"{name} {value}" for name, value in {**self.options, **self.network}.items()]
        parts += [] if self.units is None else [f"{self.units} units"]
        parts += ["a constant input"] if self.constant else []
        parts += [] if self.leaks is None else ["leaks from {:g} to {:g}".format(*self.leaks)]
        parts += [f"scaled by the last {self.held:.0%} of the examples"] if self.held else []
        return ", ".join(parts)


DECAY = {"layers.*": 1.5, "*": 0.2}
MEMORYLESS = {"recurrent": False, "tau_out": None}
"""Of a single step: a readout of it alone."""
ADAM = Recipe("point", 50, {"prior": DECAY}, rate=1e-2, network=MEMORYLESS)
DROPOUT = Recipe("dropout", 80, {"prior": 1.0}, rate=1e-2, network=MEMORYLESS)
MEAN_FIELD = Recipe(
    "mean_field",
    30,
    {
        "prior": 1.0,
        "power": 33.0,
        "initial_scale": {"layers.*": 0.007, "*": 0.1},
        "initial_factor": {"layers.*": 0.1, "*": 0.03},
    },
    rate=3e-3,
    batch=100,
    network=MEMORYLESS | {"v_th": 0.1},
    constant=True,
)
CHAINS = Recipe("langevin", 300, {"prior": DECAY, "chains": 4}, batch=4000, network=MEMORYLESS, warm=True, seeds=1)
GIBBS = Recipe(
    "block_gibbs",
    300,
    {"prior": {"layers.*": 40**-0.5, "readout.w_out": 0.1, "*": 3.0}, "chains": 4, "warmup": 60, "starts": "prior"},
    batch=4000,
    network=MEMORYLESS,
    seeds=1,
)
LEAKS = (0.3, 0.98)
STEPS = Recipe("point", 40, {"prior": 1.0}, rate=5e-3, sequence=True, network={"recurrent": False}, seeds=1)

ONE, MIXED = "40 steps, one leak", "40 steps, mixed leaks"
FIVE, PRIOR, WARM, MALA = "five mean-field", "block Gibbs from the prior", "block Gibbs from Adam", "MALA from Adam"
CONTROL = "random walk from Adam"
POINT, VARIATIONAL = "Adam, weight decay", "mean-field"
ROWS = {
    POINT: ADAM,
    "Adam, temperature scaling": replace(ADAM, held=0.1),
    "ensemble of five": replace(ADAM, method="ensemble", options=ADAM.options | {"members": 5}),
    "dropout, mean network": replace(DROPOUT, centre=True),
    "dropout, Monte Carlo": DROPOUT,
    "five dropout": replace(
        DROPOUT, method="ensemble", options=DROPOUT.options | {"of": "dropout", "members": 5}, seeds=1
    ),
    "IVON": Recipe(
        "ivon",
        60,
        {"prior": {"layers.*": 0.5, "*": 0.1}, "power": 5.0, "hessian": 0.3},
        rate=0.2,
        network=MEMORYLESS,
    ),
    "SWAG": Recipe("swag", 60, {"prior": DECAY, "learning_rate": 0.5, "warmup": 20, "draws": 50}, network=MEMORYLESS),
    "last-layer Laplace": replace(ADAM, method="laplace", options=ADAM.options | {"temperature": 0.1, "draws": 50}),
    VARIATIONAL: MEAN_FIELD,
    FIVE: replace(MEAN_FIELD, method="ensemble", options=MEAN_FIELD.options | {"of": "mean_field", "members": 5}),
    "ten mean-field": replace(
        MEAN_FIELD, method="ensemble", options=MEAN_FIELD.options | {"of": "mean_field", "members": 10}
    ),
    "cyclical SGHMC from Adam": replace(
        CHAINS,
        method="cyclical_sghmc",
        epochs=60,
        batch=128,
        options={"prior": DECAY, "chains": 4, "cycle_epochs": 20, "step_size": 3e-6, "exploration": 0.5},
    ),
    MALA: replace(CHAINS, options=CHAINS.options | {"step_size": 1e-7, "warmup": 200}),
    CONTROL: replace(CHAINS, method="random_walk", options=CHAINS.options | {"step_size": 3e-4, "warmup": 200}),
    PRIOR: GIBBS,
    WARM: replace(GIBBS, epochs=160, warm=True),
    f"{ONE}, Adam": STEPS,
    f"{MIXED}, Adam": replace(STEPS, leaks=LEAKS),
    f"{MIXED}, dropout": replace(STEPS, method="dropout", leaks=LEAKS),
    "40 steps, GRU, Adam": replace(STEPS, cell="GRU", network={}, units=128),
}
QUICK = (POINT, "dropout, mean network", VARIATIONAL, MALA, PRIOR, f"{MIXED}, dropout")
