"""What ``neko sample`` does with each method where its options are not given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from neko.registry import called


@dataclass(frozen=True)
class Plan:
    """Defaults of the options of the same names; None leaves an option to the method."""

    epochs: int
    batch_size: int
    chains: int = 1
    warm: int = 0
    pretrain: int = 40
    warmup: int = 0
    thinning: int = 1
    checkpoint_every: int = 10
    prior: float = 5.0
    power: float = 1.0
    step_size: float | None = None
    learning_rate: float | None = None
    schedule: str = "constant"


TRAINED = Plan(epochs=60, batch_size=100, learning_rate=3e-3, schedule="cosine")
STOCHASTIC = Plan(epochs=150, batch_size=128, chains=2, warm=2, warmup=50, thinning=5, step_size=1e-6)
ACCEPTED = Plan(
    epochs=1500, batch_size=1000, chains=2, warm=2, warmup=1200, thinning=5, checkpoint_every=100, step_size=1e-7
)
PLANS = {
    "langevin": ACCEPTED,
    "random_walk": ACCEPTED,
    "hmc": Plan(epochs=200, batch_size=1000, chains=2, warm=2, warmup=150, step_size=1e-4),
    "block_gibbs": Plan(epochs=300, batch_size=4000, chains=4, warm=2, warmup=100, prior=3.0),
    "sgld": STOCHASTIC,
    "psgld": STOCHASTIC,
    "sghmc": STOCHASTIC,
    "cyclical_sgld": Plan(epochs=200, batch_size=128, chains=2),
    "cyclical_sghmc": Plan(epochs=200, batch_size=128, chains=2),
    "mean_field": replace(TRAINED, power=30.0),
    "ivon": Plan(epochs=40, batch_size=128, power=10.0),
    "ensemble": replace(TRAINED, chains=5),
    "swag": Plan(epochs=60, batch_size=128, warmup=20),
}


def of(method: str) -> Plan:
    """The plan of a method, whose name may have options behind it."""
    return PLANS.get(called(method)[0], TRAINED)
