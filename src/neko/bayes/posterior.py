"""The result of a sampler: draws of the weights, and their predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neko.arguments import check_choice, check_integer
from neko.bayes.packages import arviz, arviz_names, free, scipy_stats

LINKS = {
    "softmax": "probabilities of classes",
    "sigmoid": "probabilities of independent events",
    "identity": "values",
    "log": "rates",
}
"""The meaning of predictions, by the link of the loss."""
TINY = 1e-30
"""Lower bound of probabilities in a logarithm, so that it is finite for a wrong prediction of probability 1."""


@dataclass(frozen=True, eq=False)
class Posterior:
    r"""Draws from the posterior of a network's weights.

    The draws' predictions are :math:`p_s(x)`, their mean :math:`\bar p(x)`. Their meaning is given by the `link` of the
    loss: entropies, accuracy and calibration exist for class probabilities ('softmax') only, and all entropies are in
    nats; `mean_prediction` and `standard_deviation` exist for any prediction.

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
    predictions : array (chains, draws, examples, outputs) or (chains, draws, examples, time, outputs), or None
        For the sampler's `x_pred`: class probabilities, or as given by `link`.
    link : {'softmax', 'sigmoid', 'identity', 'log'}
        Meaning of the predictions: probabilities of classes or of independent events, values, or rates.
    power, temperature : float
        λ and T of the density that was drawn from, see `neko.bayes.Inference`; both 1 for the Bayesian posterior.

    Raises
    ------
    ValueError
        For arrays whose shapes do not match; for a measure that does not exist for this link.

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
    link: str = "softmax"
    power: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_choice("link", self.link, tuple(LINKS))
        size = self.logdensity.shape
        named = {"acceptance": self.acceptance, **self.draws}
        if self.predictions is not None:
            named["predictions"] = self.predictions
        if len(size) != 2:
            raise ValueError(f"logdensity has shape {size!r}: expected (chains, draws)")
        for name, a in named.items():
            if a.shape[:2] != size:
                raise ValueError(f"{name} has shape {a.shape!r}: expected (chains, draws, …) with {size!r}")
        if self.predictions is not None and self.predictions.ndim not in (4, 5):
            shape = self.predictions.shape
            raise ValueError(f"predictions has shape {shape!r}: expected (chains, draws, examples, [time,] outputs)")
        if self.step_size.shape != size[:1]:
            raise ValueError(f"step_size has shape {self.step_size.shape!r}: expected {size[:1]!r}")

    @property
    def samples(self) -> np.ndarray:
        """Predictions of all draws of all chains, (draws, examples, [time,] outputs); ValueError if there are none."""
        if self.predictions is None:
            raise ValueError("no predictions: give the rule x_pred")
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

    def entropy(self) -> np.ndarray:
        r"""Total uncertainty :math:`H(\bar p)`, (examples,)."""
        return entropy(self.mean_probabilities)

    def expected_entropy(self) -> np.ndarray:
        r"""Uncertainty that further data would not reduce: the mean of :math:`H(p_s)`, (examples,)."""
        return np.asarray(entropy(self.probabilities).mean(axis=0, dtype=np.float64))

    def mutual_information(self) -> np.ndarray:
        r"""Between prediction and weights, :math:`H(\bar p) - E_s H(p_s) \ge 0`, (examples,) (Houlsby et al. 2011)."""
        # Negative only by rounding.
        return np.maximum(self.entropy() - self.expected_entropy(), 0.0)

    def mean_cross_entropy(self) -> np.ndarray:
        r"""The paper's uncertainty :math:`E_s[-\sum_k \bar p_k \log p_{s,k}] = H(\bar p) + E_s KL(\bar p ‖ p_s)`,
        (examples,), with probabilities of at least `TINY`."""
        logs = np.log(np.maximum(self.probabilities, TINY)).mean(axis=0, dtype=np.float64)
        return np.asarray(-(self.mean_probabilities * logs).sum(axis=-1))

    def accuracy(self, y: Any) -> float:
        """Share of examples whose most probable class is the target's; `y` class numbers or one-hot."""
        return float(np.mean(self.mean_probabilities.argmax(axis=-1) == self.classes(y)))

    def negative_log_likelihood(self, y: Any) -> float:
        r"""Mean of :math:`-\log \bar p_y`."""
        p = np.take_along_axis(self.mean_probabilities, self.classes(y)[..., None], axis=-1)
        return float(-np.log(np.maximum(p, TINY)).mean())

    def calibration_error(self, y: Any, bins: int = 15) -> float:
        """Expected calibration error: over equal bins of the largest probability, the mean distance of accuracy and
        confidence, weighted by examples (Guo et al. 2017, eq. 3); ValueError for fewer than one bin."""
        bins = check_integer("bins", bins)
        confidence = self.mean_probabilities.max(axis=-1).ravel()
        right = (self.mean_probabilities.argmax(axis=-1) == self.classes(y)).ravel()
        index = np.minimum((confidence * bins).astype(int), bins - 1)
        gap = np.bincount(index, right, bins) - np.bincount(index, confidence, bins)
        return float(np.abs(gap).sum() / len(confidence))

    def error_auroc(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """Probability that a wrong example is more uncertain than a right one; by default by `mean_cross_entropy`."""
        wrong, values = self.split(y, uncertainty)
        # the area under the curve is the fraction of ordered pairs, which U counts
        u = scipy_stats().mannwhitneyu(values[wrong], values[~wrong]).statistic
        return float(u / (wrong.sum() * (~wrong).sum()))

    def error_rank_test(self, y: Any, uncertainty: np.ndarray | None = None) -> float:
        """p-value of the one-sided rank test (Mann & Whitney 1947) that wrong examples are more uncertain."""
        wrong, values = self.split(y, uncertainty)
        return float(scipy_stats().mannwhitneyu(values[wrong], values[~wrong], alternative="greater").pvalue)

    def split(self, y: Any, uncertainty: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The wrong examples, and the uncertainty of all; ValueError unless there are wrong and right ones."""
        wrong = self.mean_probabilities.argmax(axis=-1) != self.classes(y)
        if wrong.all() or not wrong.any():
            raise ValueError(f"{wrong.sum()} of {wrong.size} examples are wrong: expected some of each kind")
        values = np.asarray(self.mean_cross_entropy() if uncertainty is None else uncertainty, np.float64)
        if values.shape != wrong.shape:
            raise ValueError(f"uncertainty has shape {values.shape!r}: expected {wrong.shape!r}, one for each example")
        if np.isnan(values).any():
            raise ValueError(
                f"uncertainty is NaN for {np.isnan(values).sum()} of {values.size} examples: they have no rank"
            )
        return wrong, values

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

    def to_arviz(self) -> Any:
        """An ArviZ ``InferenceData``: the groups 'posterior', 'sample_stats' (lp, acceptance_rate, step_size) and, if
        there are any, 'predictions' ('probability', or 'prediction' where it is none, by example, time and output).

        Parameters have their names, with "." for "/"; a name already used by ArviZ or another parameter gets a "_".
        """
        step_size = np.broadcast_to(self.step_size[:, None], self.logdensity.shape)
        stats = {"lp": self.logdensity, "acceptance_rate": self.acceptance, "step_size": step_size}
        names = arviz_names(self.draws)
        posterior = {names[name]: values for name, values in self.draws.items()}
        if self.predictions is None:
            return arviz().from_dict(posterior=posterior, sample_stats=stats)
        kind = "probability" if self.link in ("softmax", "sigmoid") else "prediction"
        dims = ["example", "time", "output"] if self.predictions.ndim == 5 else ["example", "output"]
        predictions = {kind: self.predictions}
        return arviz().from_dict(posterior=posterior, sample_stats=stats, predictions=predictions, dims={kind: dims})

    def rhat(self) -> dict[str, np.ndarray]:
        """Rank-normalised split R̂ by ArviZ (Vehtari et al. 2021), near 1 where chains agree.

        One for each entry of every parameter, of 'logdensity' and, if there are any, of 'predictions', in the shape of
        a draw ('logdensity_' or 'predictions_' if a parameter has that name). NaN where all draws are equal, and
        everywhere for fewer than four draws in a chain. The largest of a tensor is ``np.nanmax``.

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

        For an entry that is equal in all draws it is the number of draws. NaN for fewer than four draws in a chain.
        """
        return self.diagnose("ess")

    def diagnose(self, name: str) -> dict[str, np.ndarray]:
        """A diagnostic of ArviZ for parameters, log density and predictions."""
        traces = dict(self.draws)
        traces[free("logdensity", traces)] = self.logdensity
        if self.predictions is not None:
            traces[free("predictions", traces)] = self.predictions
        az = arviz()
        # Numbered, so that names are unique and different from those of dimensions.
        data = az.convert_to_dataset({f"trace {i}": values for i, values in enumerate(traces.values())})
        with np.errstate(divide="ignore", invalid="ignore"):
            found = getattr(az, name)(data)
        return {key: np.asarray(found[f"trace {i}"].values) for i, key in enumerate(traces)}


def entropy(p: np.ndarray) -> np.ndarray:
    r""":math:`-\sum_k p_k \log p_k` over the last axis, with 0 log 0 = 0."""
    return np.asarray(-(p * np.log(np.maximum(p, TINY))).sum(axis=-1))
