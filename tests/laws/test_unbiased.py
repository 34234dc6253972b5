"""Stochastic rules have the right mean: exactly over all draws, and by a test of random draws that twins fail."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy import stats

import neko
from neko import rules
from neko.cells import GRU, LIF, RNN
from neko.rules.lowrank import kf_rtrl, noise, uoro
from neko.verification.cases import gradients, max_relative_error
from significance import FALSE_ALARM, MISSED, two_sided

from oracle import assert_live, assert_moves

N_IN, OUT = 2, 2
RULES = {"uoro": rules.UORO, "kf_rtrl": rules.KFRTRL}
MODULES = {"uoro": uoro, "kf_rtrl": kf_rtrl}
# Networks of few random signs: neurons times currents and steps for UORO, currents and steps for KF-RTRL.
NETS = {
    "rnn": (lambda: [RNN(3)], 4),
    "gru": (lambda: [GRU(1)], 3),
    "lif": (lambda: [LIF(2, v_th=0.5)], 6),
    "stack": (lambda: [LIF(2, v_th=0.5), RNN(1)], 4),
}


def evaluator_of(cells):
    model = neko.Model(cells, OUT, neko.backend.get("torch", dtype="float64"), tau_out=4.0, seed=3).build(N_IN)
    return neko.Evaluator(model, loss="mse", regularizer=neko.FiringRate(target=50.0, strength=3.0, per_sequence=True))


def repeated(size, time, seed=6):
    """One sequence, `size` times: every draw of a batch is then one of the same distribution, and the gradient is their
    mean."""
    rng = np.random.default_rng(seed)
    x, y = 1.5 * rng.standard_normal((1, time, N_IN)), rng.standard_normal((1, time, OUT))
    return np.repeat(x, size, axis=0), np.repeat(y, size, axis=0)


def hidden(evaluator, rule, data):
    made = neko.LearningRule(rule(evaluator), "sgd", learning_rate=0.0, jit=False)
    return {name: g for name, g in gradients(made, data).items() if name.startswith("layers")}


def vector(found):
    return np.concatenate([found[name].ravel() for name in sorted(found)])


class AllSigns:
    """In place of random signs all that there are, one pattern for each example of the batch."""

    def __init__(self, bits, rule, patterns=slice(None)):
        self.table = (1.0 - 2.0 * ((np.arange(2**bits)[:, None] >> np.arange(bits)) & 1))[patterns]
        self.by_example, self.used = rule == "uoro", 0

    def __call__(self, xp, key, shape, *, examples):
        count = shape[1] if self.by_example else shape[0]
        signs = self.table[:, self.used : self.used + count]
        self.used += count
        return xp.asarray(signs if self.by_example else signs.T)


def bits_of(rule, cells, time):
    per_step = sum(cell.n_currents * (cell.units if rule == "uoro" else 1) for cell in cells)
    return per_step * time


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("rule", RULES)
def test_the_mean_over_all_draws_is_the_exact_gradient(rule, net, monkeypatch):
    """No statistics: the batch has every pattern of signs once. A single pattern has another gradient."""
    cells, time = NETS[net][0](), NETS[net][1]
    evaluator, bits = evaluator_of(cells), bits_of(rule, cells, time)
    data = repeated(2**bits, time)
    exact = hidden(evaluator, rules.BPTT, data)
    assert_live(evaluator, data[0][:1], {name: evaluator.xp.asarray(g) for name, g in exact.items()}, evaluator.xp)
    drawn = AllSigns(bits, rule)
    monkeypatch.setattr(MODULES[rule], "signs", drawn)
    found = hidden(evaluator, RULES[rule], data)
    assert drawn.used == bits
    assert max_relative_error(found, exact) < 1e-10
    monkeypatch.undo()
    assert_moves(hidden(evaluator, RULES[rule], tuple(a[:1] for a in data)), exact)


@functools.cache
def every_draw(rule, scaled=noise.sized):
    """The gradient of each pattern of signs on the network of `small`, (patterns, weights); `scaled` is its `sized`."""
    evaluator, data = small()
    bits, found = bits_of(rule, evaluator.network.cells, data[0].shape[1]), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULES[rule], "sized", scaled)
        for pattern in range(2**bits):
            patch.setattr(MODULES[rule], "signs", AllSigns(bits, rule, slice(pattern, pattern + 1)))
            found.append(vector(hidden(evaluator, RULES[rule], data)))
    return np.stack(found)


@functools.cache
def small(size=1):
    """A network with 256 patterns of signs for UORO, and 16 for KF-RTRL, with a sequence `size` times."""
    return evaluator_of([RNN(2)]), repeated(size, 4)


def drawn(made, size, count):
    """Gradients with random signs, each the mean of `size` draws, (count, weights)."""
    evaluator, data = small(size)
    return np.stack([vector(hidden(evaluator, functools.partial(made, seed=seed), data)) for seed in range(count)])


def directions(dimension, count=6):
    """Unit vectors, at random, on which gradients are projected."""
    a = np.random.default_rng(0).standard_normal((dimension, count))
    return a / np.linalg.norm(a, axis=0)


class UnmatchedUORO(rules.UORO):
    """A biased twin: the two factors have different signs."""

    def advance(self, memory, step, key):
        found, other = (super(UnmatchedUORO, self).advance(memory, step, k) for k in (key, self.xp.random.fold(key, 1)))
        return found._replace(theta=other.theta)


class UnmatchedKFRTRL(rules.KFRTRL):
    """The same of KF-RTRL."""

    def advance(self, memory, step, key):
        found, other = (
            super(UnmatchedKFRTRL, self).advance(memory, step, k) for k in (key, self.xp.random.fold(key, 1))
        )
        return ((found[0][0]._replace(u=other[0][0].u),),)


UNMATCHED = {"uoro": UnmatchedUORO, "kf_rtrl": UnmatchedKFRTRL}


def lopsided(xp, a, factor):
    """In place of `sized`, for a biased twin: only the first factor of the product is scaled."""
    lopsided.calls += 1
    return noise.sized(xp, a, factor if lopsided.calls % 4 in (1, 2) else xp.sign(factor))


def p_mean(groups, mean):
    """p-value of group means (count, d) that should have a mean: the least of the t-tests, times their number."""
    t = (groups.mean(axis=0) - mean) / (groups.std(axis=0, ddof=1) / np.sqrt(len(groups)))
    return min(1.0, len(t) * (2.0 * stats.t(len(groups) - 1).sf(np.abs(t))).min())


def missed_mean(groups, mean, other):
    """Bound on the probability that as many groups of the same variances, but with the mean `other`, pass in `p_mean`.

    With N(δ, 1) over √(χ²/ν) in place of t: either χ²/ν exceeds 5/2, or the normal stays below √(5/2) of the limit.
    """
    count, d = groups.shape
    free, shift = count - 1, np.abs(other - mean) / (groups.std(axis=0, ddof=1) / np.sqrt(count))
    limit = stats.t(free).isf(0.5 * FALSE_ALARM / d)
    return (stats.norm.cdf(np.sqrt(2.5) * limit - shift) + stats.chi2(free).sf(2.5 * free)).min()


@pytest.mark.slow
@pytest.mark.parametrize("twin", ["unmatched", "lopsided"])
@pytest.mark.parametrize("rule", RULES)
def test_random_draws_have_the_exact_mean_and_a_biased_twin_has_not(rule, twin, monkeypatch):
    """A false alarm has a probability of 1e-7; the twin is missed with less, by its exact mean and measured variance.

    Means of 256 draws are nearly normal: their excess kurtosis is that of a draw, below 64, divided by 256.
    """
    every = every_draw(rule)
    onto = directions(every.shape[1])
    evaluator, data = small()
    exact = vector(hidden(evaluator, rules.BPTT, data)) @ onto
    np.testing.assert_allclose(every.mean(axis=0) @ onto, exact, rtol=1e-10)
    assert (stats.kurtosis(every @ onto) < 64.0).all()
    assert p_mean(drawn(RULES[rule], 256, 64) @ onto, exact) > FALSE_ALARM
    made = RULES[rule]
    if twin == "lopsided":
        lopsided.calls = 0
        monkeypatch.setattr(MODULES[rule], "sized", lopsided)
        other = every_draw(rule, lopsided).mean(axis=0) @ onto
    else:
        made, other = UNMATCHED[rule], 0.0
    biased = drawn(made, 256, 64) @ onto
    assert missed_mean(biased, exact, other) < MISSED
    assert p_mean(biased, exact) < FALSE_ALARM


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_the_variance_of_a_mean_falls_with_the_number_of_draws(rule, monkeypatch):
    """By the χ² law of the groups, from the exact variance of a draw; if all examples had the same noise, not."""
    every = every_draw(rule)
    onto = directions(every.shape[1])
    variance = (every @ onto).var(axis=0)

    def p(size, count=64):
        groups = drawn(RULES[rule], size, count) @ onto
        total = groups.var(axis=0, ddof=1) * (count - 1) * size / variance
        return two_sided(stats.chi2(count - 1), total).min() * onto.shape[1]

    assert min(p(256), p(4096)) > FALSE_ALARM
    signs = noise.signs
    monkeypatch.setattr(
        MODULES[rule], "signs", lambda xp, key, shape: xp.ones(shape) * signs(xp, key, one_of(shape, rule))
    )
    assert p(256) < FALSE_ALARM


def one_of(shape, rule):
    """The shape of the signs of one example."""
    return (1, shape[1]) if rule == "uoro" else (shape[0], 1)


@pytest.mark.slow
def test_kf_rtrl_has_less_variance_than_uoro():
    """Exactly, over all draws: the mean square deviation from the exact gradient, here four times smaller."""
    uoro, kf = (every_draw(rule).var(axis=0).sum() for rule in ("uoro", "kf_rtrl"))
    assert 0.0 < kf < 0.25 * uoro
