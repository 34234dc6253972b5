"""What the table of uncertainty says, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neko.bayes.diagnostics import LARGEST, SHARE
from neko.experiments.results import Results
from neko.experiments.uncertainty.methods import POINT, Recipe

NLL = "negative log likelihood"
EXACT = ("langevin", "random_walk", "block_gibbs")
"""Samplers whose draws are from the posterior once their chains have mixed."""


def told(results: Results, rows: Mapping[str, Recipe]) -> str:
    """All paragraphs."""
    parts = [
        which(results, rows),
        errors(results),
        chains(results, rows),
        densities(),
        sequences(results, rows),
        "In the figures: an example with its prediction and the uncertainty of right and wrong test examples; "
        "reliability with the range that a calibrated predictor has by chance; the accuracy when the most uncertain "
        "examples are refused; the log density of every chain. All are of the first seed.",
    ]
    return "\n\n".join(part for part in parts if part)


def mean(results: Results, row: str, measure: str) -> float:
    """Over the trials of a row."""
    return float(results.values(row, measure).mean())


def best(results: Results, among: Sequence[str]) -> str:
    """A row of the lowest negative log likelihood in words."""
    row = min(among, key=lambda row: mean(results, row, NLL))
    return (
        f"*{row}* (accuracy {100 * mean(results, row, 'accuracy'):.1f} %, NLL {mean(results, row, NLL):.3f}, ECE "
        f"{mean(results, row, 'calibration error'):.3f}, {mean(results, row, 'processor seconds'):.0f} s)"
    )


def which(results: Results, rows: Mapping[str, Recipe]) -> str:
    """Which method to take, by the negative log likelihood."""
    step = [row for row in results.rows if not rows[row].sequence]
    kinds = {
        "Of the methods that train one network or one distribution the best": [
            row for row in step if not rows[row].combination and not rows[row].sampler
        ],
        "of those that combine several": [row for row in step if rows[row].combination],
        "and of the samplers": [row for row in step if rows[row].sampler],
    }
    said = [f"{words} is {best(results, among)}" for words, among in kinds.items() if among]
    if POINT in step:
        said.append(
            f"one network by Adam has an NLL of {mean(results, POINT, NLL):.3f} in "
            f"{mean(results, POINT, 'processor seconds'):.0f} s"
        )
    return f"**Which method** (one step, by NLL): {'; '.join(said)}."


def errors(results: Results) -> str:
    """Whether wrong predictions are the more uncertain ones, beside what calibration alone gives."""
    p = max(float(results.values(row, "rank test p").max()) for row in results.rows)
    ranks = {row: mean(results, row, "AUROC") - mean(results, row, "AUROC if calibrated") for row in results.rows}
    below = [row for row, difference in ranks.items() if difference < 0.0]
    said = "nowhere below that of a calibrated predictor"
    if below:
        least = min(ranks.values())
        said = f"at least that of a calibrated predictor but for {', '.join(below)} (by {least:.3f} at most)"
    return (
        "**Wrong predictions are the more uncertain ones**, as in the paper's figure: the rank test has "
        f"p ≤ {p:.0e} in every trial. AUROC is {said}."
    )


def chains(results: Results, rows: Mapping[str, Recipe]) -> str:
    """Which samplers have mixed."""
    found = {}
    for row in results.rows:
        if len(results.values(row, "R-hat of predictions")):
            names = ("R-hat of predictions", "predictions of R-hat up to 1.05", "R-hat of the likelihood", "trend p")
            found[row] = [mean(results, row, name) for name in names]
    if not found:
        return ""
    said = []
    for row, (rhat, share, likelihood, trend) in found.items():
        mixed = share >= SHARE and likelihood <= LARGEST
        exact = rows[row].method in EXACT
        word = ("mixed" if exact else "agrees, but has no accept test") if mixed else "not mixed"
        said.append(
            f"*{row}* {word} (R-hat of predictions {rhat:.2f} in the median, {100 * share:.0f} % of them at most "
            f"{LARGEST}, of the NLL {likelihood:.2f}; trend of the log density p = {trend:.2g})"
        )
    return (
        f"**Chains**: {'; '.join(said)}. An R-hat far above 1 says that chains differ by more than each of them "
        "moves: their draws are from the neighbourhoods of the points where they started, not from the "
        "posterior, so that such a row is an ensemble of jittered point estimates. The log density has a jump wherever "
        "a spike appears, so that a step of all weights at once (MALA) is accepted only if it is tiny; "
        "block updates move one neuron at a time. Of a sampler that has mixed the draws are from the posterior of this "
        "prior: exact, which is not the same as the best predictions."
    )


def densities() -> str:
    """How prior, power and temperature of each row are chosen."""
    return (
        "**Prior and power**: for Adam, ensemble, SWAG and Laplace the prior is a weight decay, chosen by the NLL on a "
        "quarter of the training data, as all numbers of the trained methods; the chains from Adam have the same one. "
        "Dropout's noise is part of its model, and a prior of 1 hardly pulls. Variational methods underfit at "
        "λ = 1 (50,000 weights and 4,000 examples), so that λ is chosen by the same data: above 1 their distributions "
        "are narrower than the Bayesian posterior's. Laplace's temperature is chosen likewise. "
        "Block Gibbs samples the Bayesian posterior, λ = T = 1, of a prior whose outputs have a variance that does not "
        "grow with the layer."
    )


def sequences(results: Results, rows: Mapping[str, Recipe]) -> str:
    """What 40 steps of one value give."""
    found = [row for row in results.rows if rows[row].sequence]
    if not found:
        return ""
    said = ", ".join(f"{row.removeprefix('40 steps, ')} {100 * mean(results, row, 'accuracy'):.1f} %" for row in found)
    return (
        f"**40 steps of one value**: {said}. Neurons of one leak all see the same filtered input; those of mixed leaks "
        "remember it over different times."
    )
