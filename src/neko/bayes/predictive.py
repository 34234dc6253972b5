"""Predictions of several draws: their mean, uncertainty, scores, calibration and ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.arguments import is_real
from neko.bayes import calibration, ranking
from neko.bayes.calibration import TINY, Expected, Reliability
from neko.bayes.ranking import Selective

LINKS = {
    "softmax": "probabilities of classes",
    "sigmoid": "probabilities of independent events",
    "identity": "values",
    "log": "rates",
}
"""The meaning of predictions, by the link of the loss."""


class Predictive:
    r"""Predictions :math:`p_s(x)` of draws s, with the mean :math:`\bar p(x)`; the base of `Posterior`.

    Their meaning is given by the `link` of the loss. Entropies (in nats), scores, calibration and ranks of errors exist
    for class probabilities ('softmax') only; errors and intervals of values for the other links; `mean_prediction` and
    `standard_deviation` for any. Where predictions have a time axis every frame is an example. Targets `y` of classes
    are class numbers or one-hot.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.2.
    Houlsby et al. (2011), "Bayesian active learning for classification and preference learning", eq. 2.
    Brier (1950), "Verification of forecasts expressed in terms of probability".
    Guo et al. (2017), "On calibration of modern neural networks", eq. 3.
    Geifman & El-Yaniv (2017), "Selective classification for deep neural networks".
    Mann & Whitney (1947), doi:10.1214/aoms/1177730491.
    """

    predictions: np.ndarray | None
    link: str

    @property
    def samples(self) -> np.ndarray:
        """Predictions of all draws of all chains, (draws, examples, [time,] outputs); ValueError if there are none."""
        if self.predictions is None:
            raise ValueError("no predictions: give the rule x_pred, or use with_predictions")
        return self.predictions.reshape(-1, *self.predictions.shape[2:])

    @property
    def probabilities(self) -> np.ndarray:
        """Class probabilities p_s of all draws of all chains, (draws, examples, [time,] classes); ValueError if there
        are none, or where predictions are no class probabilities."""
        if self.link != "softmax":
            raise ValueError(
                f"the predictions are {LINKS[self.link]} (link={self.link!r}), no class probabilities: entropies, "
                "accuracy, calibration and ranks of errors do not exist; use mean_prediction and standard_deviation"
            )
        return self.samples

    @property
    def mean_prediction(self) -> np.ndarray:
        """The posterior predictive mean p̄, (examples, [time,] outputs)."""
        # In single precision the rounding error of thousands of draws would exceed a small mutual information.
        return np.asarray(self.samples.mean(axis=0, dtype=np.float64))

    @property
    def standard_deviation(self) -> np.ndarray:
        """Of the draws' predictions, without the noise of the data, (examples, [time,] outputs)."""
        return np.asarray(self.samples.std(axis=0, dtype=np.float64))

    @property
    def mean_probabilities(self) -> np.ndarray:
        """p̄ of classes, (examples, [time,] classes)."""
        return np.asarray(self.probabilities.mean(axis=0, dtype=np.float64))

    @property
    def confidence(self) -> np.ndarray:
        r"""Probability of the predicted class, :math:`\max_k \bar p_k`, (examples, [time])."""
        return np.asarray(self.mean_probabilities.max(axis=-1))

    def entropy(self) -> np.ndarray:
        r"""Total uncertainty :math:`H(\bar p)`, (examples,)."""
        return entropy(self.mean_probabilities)

    def expected_entropy(self) -> np.ndarray:
        r"""Aleatoric uncertainty, which further data would not reduce: the mean of :math:`H(p_s)`, (examples,)."""
        return np.asarray(entropy(self.probabilities).mean(axis=0, dtype=np.float64))

    def mutual_information(self) -> np.ndarray:
        r"""Epistemic uncertainty, the information between prediction and weights
        :math:`H(\bar p) - E_s H(p_s) \ge 0`, (examples,) (Houlsby et al. 2011)."""
        # Negative only by rounding.
        return np.maximum(self.entropy() - self.expected_entropy(), 0.0)

    def mean_cross_entropy(self) -> np.ndarray:
        r"""The paper's uncertainty :math:`E_s[-\sum_k \bar p_k \log p_{s,k}] = H(\bar p) + E_s KL(\bar p ‖ p_s)`,
        (examples,), with probabilities of at least `TINY`."""
        logs = np.log(np.maximum(self.probabilities, TINY)).mean(axis=0, dtype=np.float64)
        return np.asarray(-(self.mean_probabilities * logs).sum(axis=-1))

    def right(self, y: Any) -> np.ndarray:
        """Whether each example's most probable class is the target's, (examples, [time])."""
        return np.asarray(self.mean_probabilities.argmax(axis=-1) == self.classes(y))

    def accuracy(self, y: Any) -> float:
        """Share of examples whose most probable class is the target's."""
        return float(np.mean(self.right(y)))

    def negative_log_likelihood(self, y: Any) -> float:
        r"""Mean of :math:`-\log \bar p_y`."""
        return float(calibration.negative_log_likelihood(self.mean_probabilities, self.classes(y)).mean())

    def brier_score(self, y: Any) -> float:
        r"""Mean of :math:`\sum_k (\bar p_k - 1[k = y])^2`, between 0 and 2 (Brier 1950)."""
        return float(calibration.brier_score(self.mean_probabilities, self.classes(y)).mean())

    def reliability(self, y: Any, bins: int = 15) -> Reliability:
        """Accuracy over confidence in equal bins, beside the range that a calibrated predictor would show by chance."""
        return calibration.reliability(self.confidence.ravel(), self.right(y).ravel(), bins)

    def calibration_error(self, y: Any, bins: int = 15) -> float:
        """Expected calibration error: over equal bins of the largest probability, the mean distance of accuracy and
        confidence, weighted by examples (Guo et al. 2017, eq. 3); ValueError for fewer than one bin."""
        return self.reliability(y, bins).error

    def calibrated_error(self, bins: int = 15) -> Expected:
        """The calibration error that a perfectly calibrated predictor with these confidences would measure on as many
        examples: a `calibration_error` within this range is chance."""
        return calibration.calibrated_error(self.confidence.ravel(), bins)

    def error_auroc(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """Probability that a wrong example is more uncertain than a right one; by default by `mean_cross_entropy`."""
        return ranking.auroc(*self.split(y, uncertainty))

    def calibrated_auroc(self, uncertainty: np.ndarray | None = None) -> Expected:
        """The `error_auroc` that a perfectly calibrated predictor with these confidences would have: each example is
        wrong with probability 1 - `confidence`."""
        return ranking.calibrated_auroc(self.ranked(uncertainty).ravel(), self.confidence.ravel())

    def error_rank_test(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """p-value of the one-sided rank test (Mann & Whitney 1947) that wrong examples are more uncertain."""
        return ranking.rank_test(*self.split(y, uncertainty))

    def selective_accuracy(self, y: Any, uncertainty: np.ndarray | None = None) -> Selective:
        """Accuracy of the others where the most uncertain examples are refused (Geifman & El-Yaniv 2017), by default by
        `mean_cross_entropy`."""
        return ranking.selective_accuracy(self.ranked(uncertainty).ravel(), self.right(y).ravel())

    def split(self, y: Any, uncertainty: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The uncertainty of all examples, and which are wrong; ValueError unless there are wrong and right ones."""
        wrong = ~self.right(y)
        if wrong.all() or not wrong.any():
            raise ValueError(f"{wrong.sum()} of {wrong.size} examples are wrong: expected some of each kind")
        return self.ranked(uncertainty), wrong

    def ranked(self, uncertainty: np.ndarray | None) -> np.ndarray:
        """The uncertainty of all examples, by default `mean_cross_entropy`; ValueError if it does not fit."""
        values = np.asarray(self.mean_cross_entropy() if uncertainty is None else uncertainty, np.float64)
        expected = self.probabilities.shape[1:-1]
        if values.shape != expected:
            raise ValueError(f"uncertainty has shape {values.shape!r}: expected {expected!r}, one for each example")
        if np.isnan(values).any():
            raise ValueError(
                f"uncertainty is NaN for {np.isnan(values).sum()} of {values.size} examples: they have no rank"
            )
        return values

    def classes(self, y: Any) -> np.ndarray:
        """Class numbers of a target; ValueError if it does not fit the predictions."""
        y = np.asarray(y)
        *cases, classes = self.probabilities.shape[1:]
        if y.shape not in (tuple(cases), (*cases, classes)):
            count = f"{len(y)} examples" if y.ndim else "no examples"
            raise ValueError(
                f"y has {count}: expected {cases[0]}, as in x_pred; its shape {y.shape!r} must be "
                f"{tuple(cases)!r} for class numbers or {(*cases, classes)!r} for one-hot"
            )
        y = y.argmax(axis=-1) if y.ndim > len(cases) else y
        if not np.isin(y, np.arange(classes)).all():
            raise ValueError(f"y has values from {y.min()!r} to {y.max()!r}: expected class numbers 0 to {classes - 1}")
        return y.astype(np.int64)

    def root_mean_square_error(self, y: Any) -> float:
        """Of the mean prediction, of values, rates or probabilities of events."""
        return float(np.sqrt(np.square(self.mean_prediction - self.values(y)).mean()))

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the central interval that has this share of the draws' predictions, each (examples, [time,]
        outputs). It is of the mean of a target; the noise of the data is not in it."""
        if not (is_real(level) and 0.0 < level < 1.0):
            raise ValueError(f"level={level!r}: expected a number between 0 and 1")
        low, high = np.quantile(self.samples, ((1.0 - level) / 2.0, (1.0 + level) / 2.0), axis=0)
        return low, high

    def coverage(self, y: Any, level: float = 0.9) -> float:
        """Share of values in the `interval` of this level: near it where `y` are means without noise, below it where
        they have noise, which the interval leaves out."""
        y, (low, high) = self.values(y), self.interval(level)
        return float(np.mean((low <= y) & (y <= high)))

    def values(self, y: Any) -> np.ndarray:
        """A target of values; ValueError if it does not fit the predictions, or for classes."""
        if self.link == "softmax":
            raise ValueError("the predictions are class probabilities: use accuracy, brier_score, reliability, …")
        y = np.asarray(y, np.float64)
        if y.shape != self.samples.shape[1:]:
            raise ValueError(f"y has shape {y.shape!r}: expected {self.samples.shape[1:]!r}, as the predictions")
        return y


def entropy(p: np.ndarray) -> np.ndarray:
    r""":math:`-\sum_k p_k \log p_k` over the last axis, with 0 log 0 = 0."""
    return np.asarray(-(p * np.log(np.maximum(p, TINY))).sum(axis=-1))
