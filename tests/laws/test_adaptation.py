"""The step size that a warm-up finds, against what is wanted of it, with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest

from neko.samplers import adaptation, hmc, langevin
from sampling import together


def begun(runs):
    """The warm-ups of many runs at once: the update is element-wise."""
    log_step = np.full(runs, adaptation.init(1e-4).log_step)
    return adaptation.State(log_step, log_step, 0)


@pytest.mark.parametrize("wanted", [0.574, 0.8])
def test_a_warm_up_in_noise_ends_where_the_acceptance_is_wanted(wanted):
    """Acceptance e^-ε and noise, so that the answer is ε = -log α*; the mean is nearer to it than the last step is.

    Over 20,000 runs the acceptance is off by 0.0003 and 0.0005 on average (for the two α*), with deviations of 0.0107
    and 0.0099. Means of 1,000 runs have a tenth of the bound as standard error, deviations a fiftieth: false alarms
    are events of 7 standard errors. The controls are the last step, with deviations of 0.021 and 0.016, and a mean
    that forgets nothing, which is off by 0.015 and 0.020: 8 standard errors beyond the bounds and more.
    """
    runs = 1000
    rng = np.random.default_rng(0)
    state = begun(runs)
    plain = 0.0
    for _ in range(3000):
        acceptance = np.exp(-np.exp(state.log_step)) + rng.uniform(-0.5, 0.5, size=runs)
        state = adaptation.update(state, acceptance, wanted)
        plain = plain + state.log_step / 3000
    final, last, unforgetting = (np.exp(-np.exp(log)) - wanted for log in (state.mean, state.log_step, plain))
    assert abs(final.mean()) < 0.003 < abs(unforgetting.mean())
    assert final.std() < 0.013 < last.std()


def test_the_step_size_is_kept_as_its_logarithm():
    state = adaptation.State(np.log(0.2), np.log(0.3), 7)
    assert adaptation.current(state) == pytest.approx(0.2)
    assert adaptation.final(state) == pytest.approx(0.3)
    assert adaptation.current(adaptation.init(1e-4)) == adaptation.final(adaptation.init(1e-4)) == pytest.approx(1e-4)


@pytest.mark.parametrize(("method", "wanted"), [(langevin, 0.574), (hmc, 0.8)], ids=["mala", "hmc"])
def test_adaptation_finds_the_acceptance_that_is_wanted(xp, method, wanted):
    """Ten dimensions with scales from 1 to 3; after the warm-up the step size is frozen.

    Over 2,000 chains the rate is above the wanted one by 0.002 (MALA) and 0.02 (HMC, whose rate is concave in the step
    size), with deviations of 0.05 and 0.024: the mean of 100 chains leaves the tolerance with 6.6 standard errors or
    more. A step size that stays where it begins has the rate 1, which is 33 standard errors beyond.
    """
    if xp.name != "jax":
        pytest.skip("hundreds of steps: where a step compiles; the adaptation knows no backend")
    chains, warmup, after = 100, 500, 100
    variance = xp.asarray(np.linspace(1.0, 3.0, 10) ** 2)
    options = {"steps": 4} if method is hmc else {}

    def target(position):
        w = position["a"]
        return -0.5 * xp.sum(w * w / variance), {"a": -w / variance}

    state, advance = together(
        xp,
        lambda w: method.init(xp, w, target),
        lambda key, state, size: method.step(xp, key, state, target, size, **options),
        chains,
        {"a": xp.zeros((chains, 10))},
    )
    found, rates = begun(chains), []
    for t in range(warmup + after):
        size = np.exp(found.log_step if t < warmup else found.mean)
        state, info = advance(xp.random.key(t), state, xp.asarray(size))
        rates.append(xp.to_numpy(info.acceptance_probability))
        if t < warmup:
            found = adaptation.update(found, rates[-1], wanted)
    assert abs(np.mean(rates[warmup:]) - wanted) < 0.035
