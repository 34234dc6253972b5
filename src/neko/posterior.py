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

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.2.
    Houlsby et al. (2011), "Bayesian active learning for classification and preference learning", eq. 2.
    Guo et al. (2017), "On calibration of modern neural networks", eq. 3.
    Mann & Whitney (1947), doi:10.1214/aoms/1177730491.
    Vehtari et al. (2021), "Rank-normalization, folding, and localization: an improved R̂", doi:10.1214/20-BA1221.

    Examples
    --------
    >>> trace = np.zeros((1, 2))
    >>> found = Posterior({}, trace, trace, np.ones(1), np.array([[[[0.8, 0.2]], [[0.4, 0.6]]]]))
    >>> found.mean_prediction.round(3)
    array([[0.6, 0.4]])
    >>> found.mutual_information().round(3)
    array([0.086])
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
        if len(size) != 2:
            raise ValueError(f"logdensity has shape {size!r}: expected (chains, draws)")
        for name, a in named.items():
            if a.shape[:2] != size:
                raise ValueError(f"{name} has shape {a.shape!r}: expected (chains, draws, …) with {size!r}")
        if self.predictions is not None and self.predictions.ndim != 4:
            shape = self.predictions.shape
            raise ValueError(f"predictions has shape {shape!r}: expected (chains, draws, examples, classes)")
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
        # Over thousands of draws in single precision the sum's rounding would exceed a small mutual information.
        return np.asarray(self.probabilities.mean(axis=0, dtype=np.float64))

    def entropy(self) -> np.ndarray:
        r"""Total uncertainty :math:`H(\bar p)`, (examples,)."""
        return entropy(self.mean_prediction)

    def expected_entropy(self) -> np.ndarray:
        r"""What no further data would remove: the mean of :math:`H(p_s)`, (examples,)."""
        return np.asarray(entropy(self.probabilities).mean(axis=0, dtype=np.float64))

    def mutual_information(self) -> np.ndarray:
        r"""Between prediction and weights, :math:`H(\bar p) - E_s H(p_s) \ge 0`, (examples,) (Houlsby et al. 2011)."""
        # It is never negative; rounding is.
        return np.maximum(self.entropy() - self.expected_entropy(), 0.0)

    def mean_cross_entropy(self) -> np.ndarray:
        r"""The paper's uncertainty: :math:`E_s[-\sum_k \bar p_k \log p_{s,k}]`, (examples,).

        It is :math:`H(\bar p) + E_s KL(\bar p ‖ p_s)`, with probabilities below `TINY` taken as `TINY`.
        """
        logs = np.log(np.maximum(self.probabilities, TINY)).mean(axis=0, dtype=np.float64)
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
        confidence, weighted by examples (Guo et al. 2017, eq. 3); ValueError for fewer than one bin."""
        if bins < 1:
            raise ValueError(f"bins={bins!r}: expected one or more")
        confidence = self.mean_prediction.max(axis=-1)
        right = self.mean_prediction.argmax(axis=-1) == self.classes(y)
        index = np.minimum((confidence * bins).astype(int), bins - 1)
        gap = np.bincount(index, right, bins) - np.bincount(index, confidence, bins)
        return float(np.abs(gap).sum() / len(confidence))

    def error_auroc(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """Probability that a wrong example is more uncertain than a right one; by default by `mean_cross_entropy`."""
        wrong, values = self.split(y, uncertainty)
        # the area under the curve is the share of pairs in order, which is what U counts
        u = scipy_stats().mannwhitneyu(values[wrong], values[~wrong]).statistic
        return float(u / (wrong.sum() * (~wrong).sum()))

    def error_rank_test(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """p-value of the one-sided rank test (Mann & Whitney 1947) that wrong examples are more uncertain."""
        wrong, values = self.split(y, uncertainty)
        return float(scipy_stats().mannwhitneyu(values[wrong], values[~wrong], alternative="greater").pvalue)

    def split(self, y: Any, uncertainty: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Which examples are wrong, and the uncertainty of all; ValueError unless there are both kinds."""
        wrong = self.mean_prediction.argmax(axis=-1) != self.classes(y)
        if wrong.all() or not wrong.any():
            raise ValueError(f"{wrong.sum()} of {len(wrong)} examples are wrong: expected some of each kind")
        values = np.asarray(self.mean_cross_entropy() if uncertainty is None else uncertainty, np.float64)
        if values.shape != wrong.shape:
            raise ValueError(f"uncertainty has shape {values.shape!r}: expected {wrong.shape!r}, one for each example")
        if np.isnan(values).any():
            raise ValueError(
                f"uncertainty is NaN for {np.isnan(values).sum()} of {len(values)} examples: they have no rank"
            )
        return wrong, values

    def classes(self, y: Any) -> np.ndarray:
        """Class numbers of a target; ValueError if it does not fit the predictions."""
        y = np.asarray(y)
        examples, classes = self.probabilities.shape[1:]
        if y.shape not in ((examples,), (examples, classes)):
            count = f"{len(y)} examples" if y.ndim else "no examples"
            raise ValueError(
                f"y has {count}: expected {examples}, as in x_pred; its shape {y.shape!r} must be "
                f"{(examples,)!r} for class numbers or {(examples, classes)!r} for one-hot"
            )
        y = y.argmax(axis=-1) if y.ndim == 2 else y
        if not np.isin(y, np.arange(classes)).all():
            raise ValueError(f"y has values from {y.min()!r} to {y.max()!r}: expected class numbers 0 to {classes - 1}")
        return y.astype(np.int64)

    def to_arviz(self) -> Any:
        """An ArviZ ``InferenceData``: the groups 'posterior', 'sample_stats' (lp, acceptance_rate, step_size) and, if
        there are any, 'predictions' (probability)."""
        step_size = np.broadcast_to(self.step_size[:, None], self.logdensity.shape)
        stats = {"lp": self.logdensity, "acceptance_rate": self.acceptance, "step_size": step_size}
        predictions = None if self.predictions is None else {"probability": self.predictions}
        return arviz().from_dict(posterior=self.draws, sample_stats=stats, predictions=predictions)

    def rhat(self) -> dict[str, np.ndarray]:
        """Rank-normalised split R̂ by ArviZ (Vehtari et al. 2021), near 1 where chains agree.

        One for each number of every parameter, of 'logdensity' and, if there are any, of 'predictions', in the shape
        of a draw. NaN where no draw differs from another, and everywhere for fewer than four draws in a chain. The
        largest of a tensor is ``np.nanmax``.

        Raises
        ------
        ValueError
            For fewer than two chains.
        """
        if len(self.step_size) < 2:
            raise ValueError("R-hat compares chains: expected two or more, this posterior has one")
        return self.diagnose("rhat")

    def ess(self) -> dict[str, np.ndarray]:
        """Effective sample size (bulk) by ArviZ over all chains, in the form of `rhat`; one chain is enough.

        Numbers that no draw changes count as if all draws were independent. NaN for fewer than four draws in a chain.
        """
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


def scipy_stats() -> Any:
    """SciPy's statistics; ImportError says what to install."""
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError("ranks of uncertainties need SciPy: pip install 'neko-learning[bayes]'") from error
    return stats


def arviz() -> Any:
    """ArviZ, without the notice of its coming versions.

    It warns once a day, on import: no concern of who asks for an R̂, and a failure where warnings are errors.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing", category=FutureWarning)
        import arviz as az
    return az
