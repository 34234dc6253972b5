"""What a Bayesian learning rule returns: draws of the weights, and what they predict."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

TINY = 1e-30
"""Probabilities below it count as this much in a logarithm, so that a certain and wrong draw stays finite."""


@dataclass(frozen=True, eq=False)
class Posterior:
    r"""Draws from the posterior of a network's weights.

    With the draws' class probabilities :math:`p_s(x)` and their mean :math:`\bar p(x)`. All entropies are in nats.

    Parameters
    ----------
    draws : dict of array (chains, draws, …)
        Parameters by name.
    logdensity : array (chains, draws)
        Log posterior at each draw, up to a constant.
    acceptance : array (chains, draws)
        Probability of acceptance of the step that led to each draw; NaN for a sampler without an accept test.
    step_size : array (chains,)
        Step size after the warm-up.
    predictions : array (chains, draws, examples, classes) or None
        Class probabilities for the inputs that the rule was given.

    Raises
    ------
    ValueError
        For arrays whose shapes do not fit each other.
    """

    draws: dict[str, np.ndarray]
    logdensity: np.ndarray
    acceptance: np.ndarray
    step_size: np.ndarray
    predictions: np.ndarray | None = None

    def __post_init__(self) -> None:
        size = self.logdensity.shape
        named = {"acceptance": self.acceptance, **self.draws}
        if self.predictions is not None:
            named["predictions"] = self.predictions
        for name, a in named.items():
            if len(size) != 2 or a.shape[:2] != size:
                raise ValueError(f"{name} has shape {a.shape!r}: expected (chains, draws, …) with {size!r}")
        if self.step_size.shape != size[:1]:
            raise ValueError(f"step_size has shape {self.step_size.shape!r}: expected {size[:1]!r}")

    @property
    def probabilities(self) -> np.ndarray:
        """p_s of all draws of all chains, (draws, examples, classes); ValueError if there are none."""
        if self.predictions is None:
            raise ValueError("no predictions: give the rule x_pred")
        return self.predictions.reshape(-1, *self.predictions.shape[2:])

    @property
    def mean_prediction(self) -> np.ndarray:
        """The posterior predictive p̄, (examples, classes)."""
        return np.asarray(self.probabilities.mean(axis=0))

    def entropy(self) -> np.ndarray:
        r"""Total uncertainty :math:`H(\bar p)`, (examples,)."""
        return entropy(self.mean_prediction)

    def expected_entropy(self) -> np.ndarray:
        r"""What no further data would remove: the mean of :math:`H(p_s)`, (examples,)."""
        return np.asarray(entropy(self.probabilities).mean(axis=0))

    def mutual_information(self) -> np.ndarray:
        r"""Between prediction and weights, :math:`H(\bar p) - E_s H(p_s)`, (examples,) (Houlsby et al. 2011, eq. 2)."""
        return self.entropy() - self.expected_entropy()

    def mean_cross_entropy(self) -> np.ndarray:
        r"""The paper's uncertainty: :math:`E_s[-\sum_k \bar p_k \log p_{s,k}]`, (examples,).

        It is :math:`H(\bar p) + E_s KL(\bar p ‖ p_s)`.
        """
        logs = np.log(np.maximum(self.probabilities, TINY)).mean(axis=0)
        return np.asarray(-(self.mean_prediction * logs).sum(axis=-1))

    def accuracy(self, y: Any) -> float:
        """Share of examples whose most probable class is the target's; `y` class numbers or one-hot."""
        return float(np.mean(self.mean_prediction.argmax(axis=-1) == self.classes(y)))

    def negative_log_likelihood(self, y: Any) -> float:
        r"""Mean of :math:`-\log \bar p_y`."""
        y = self.classes(y)
        return float(-np.log(np.maximum(self.mean_prediction[np.arange(len(y)), y], TINY)).mean())

    def calibration_error(self, y: Any, bins: int = 15) -> float:
        """Expected calibration error: over equal bins of the largest probability, the mean distance of accuracy and
        confidence, weighted by examples (Guo et al. 2017, eq. 3)."""
        confidence = self.mean_prediction.max(axis=-1)
        right = self.mean_prediction.argmax(axis=-1) == self.classes(y)
        index = np.minimum((confidence * bins).astype(int), bins - 1)
        gap = np.bincount(index, right, bins) - np.bincount(index, confidence, bins)
        return float(np.abs(gap).sum() / len(confidence))

    def error_auroc(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """Probability that a wrong example is more uncertain than a right one; by default by `mean_cross_entropy`."""
        from sklearn.metrics import roc_auc_score

        wrong, values = self.split(y, uncertainty)
        return float(roc_auc_score(wrong, values))

    def error_rank_test(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """p-value of the one-sided rank test (Mann & Whitney 1947) that wrong examples are more uncertain."""
        from scipy.stats import mannwhitneyu

        wrong, values = self.split(y, uncertainty)
        return float(mannwhitneyu(values[wrong], values[~wrong], alternative="greater").pvalue)

    def split(self, y: Any, uncertainty: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Which examples are wrong, and the uncertainty of all; ValueError unless there are both kinds."""
        wrong = self.mean_prediction.argmax(axis=-1) != self.classes(y)
        if wrong.all() or not wrong.any():
            raise ValueError(f"{wrong.sum()} of {len(wrong)} examples are wrong: expected some of each kind")
        values = self.mean_cross_entropy() if uncertainty is None else uncertainty
        return wrong, np.asarray(values, np.float64)

    def classes(self, y: Any) -> np.ndarray:
        """Class numbers of a target; ValueError if it does not fit the predictions."""
        y = np.asarray(y)
        y = y.argmax(axis=-1) if y.ndim == 2 else y
        if y.shape != self.mean_prediction.shape[:1]:
            raise ValueError(f"y has {len(y)!r} examples: expected {len(self.mean_prediction)!r}, as in x_pred")
        return y

    def to_arviz(self) -> Any:
        """An ArviZ ``InferenceData``: 'posterior', 'sample_stats' (lp, acceptance_rate) and 'predictions'."""
        stats = {"lp": self.logdensity, "acceptance_rate": self.acceptance}
        predictions = None if self.predictions is None else {"probability": self.predictions}
        return arviz().from_dict(posterior=self.draws, sample_stats=stats, predictions=predictions)

    def rhat(self) -> dict[str, np.ndarray]:
        """Rank-normalised split R̂ by ArviZ (Vehtari et al. 2021) of every parameter, of 'logdensity' and, if there are
        any, 'predictions'; 1 where chains agree. ValueError for fewer than two chains."""
        if len(self.step_size) < 2:
            raise ValueError("R-hat compares chains: expected two or more, this posterior has one")
        return self.diagnose("rhat")

    def ess(self) -> dict[str, np.ndarray]:
        """Effective sample size (bulk) by ArviZ, as `rhat`."""
        return self.diagnose("ess")

    def diagnose(self, name: str) -> dict[str, np.ndarray]:
        """A diagnostic of ArviZ for everything there are draws of."""
        traces = {**self.draws, "logdensity": self.logdensity}
        if self.predictions is not None:
            traces["predictions"] = self.predictions
        az = arviz()
        data = az.convert_to_dataset(traces)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = getattr(az, name)(data)
        return {key: np.asarray(found[key].values) for key in traces}


def entropy(p: np.ndarray) -> np.ndarray:
    r""":math:`-\sum_k p_k \log p_k` over the last axis, with 0 log 0 = 0."""
    return np.asarray(-(p * np.log(np.maximum(p, TINY))).sum(axis=-1))


def arviz() -> Any:
    """ArviZ, without the notice of its coming versions that each import prints."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="arviz")
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        import arviz as az
    return az
