"""The result of Bayesian learning: draws of the weights, and their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neko.arguments import check_choice, check_integer
from neko.bayes import calibration, diagnostics, kept, storage, thinning
from neko.bayes.diagnostics import Mixing, Trend
from neko.bayes.packages import free
from neko.bayes.predictive import LINKS, Predictive
from neko.evaluator import Evaluator


@dataclass(frozen=True, eq=False)
class Posterior(Predictive):
    r"""Draws from the posterior of a network's weights, and their predictions.

    The measures of predictions are those of `Predictive`.

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
        λ and T of the density that was drawn from, see `neko.bayes.Inference`; both 1 for the Bayesian posterior, NaN
        where draws of several are combined.
    method : str
        Name of the method's class, such as 'Langevin'.

    Raises
    ------
    ValueError
        For arrays whose shapes do not match; for a measure that does not exist for this link.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.2.
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
    method: str = ""

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

    def predict(self, model: Evaluator, x: Any, *, batch_size: int = 500) -> np.ndarray:
        """Predictions of every draw for new inputs, (chains, draws, examples, [time,] outputs).

        Parameters
        ----------
        model : Evaluator
            With a network that has the draws' parameters; its own ones are as before afterwards.
        x : array (examples, …)
            Inputs, see `Evaluator.predict`.
        batch_size : int
            Examples per forward pass.

        Raises
        ------
        ValueError
            If the names and shapes of the draws are not those of the model.
        """
        return kept.predictions(self.draws, model, x, batch_size=batch_size)

    def with_predictions(self, model: Evaluator, x: Any, *, batch_size: int = 500) -> Posterior:
        """The same draws with their predictions for new inputs, see `predict`."""
        found = self.predict(model, x, batch_size=batch_size)
        return replace(self, predictions=found, link=model.objective.loss.link)

    def thin(self, by: int | None = None, *, memory: float | None = None) -> Posterior:
        """Every `by`-th draw of each chain, from the first on; or by the least power of two with which weights and
        predictions fit into `memory` MiB.

        Raises
        ------
        ValueError
            Unless one of both is given, and for a memory below that of two draws of every chain.
        """
        if (by is None) == (memory is None):
            raise ValueError(f"by={by!r}, memory={memory!r}: expected one of them")
        chains, draws = self.logdensity.shape
        arrays = [*self.draws.values(), *([] if self.predictions is None else [self.predictions])]
        if memory is not None:
            room = thinning.capacity(memory, chains, (a[0, 0] for a in arrays))
            by = thinning.stride(draws, room)
        every = (slice(None), slice(None, None, check_integer("by", by)))
        return replace(
            self,
            draws={name: w[every] for name, w in self.draws.items()},
            logdensity=self.logdensity[every],
            acceptance=self.acceptance[every],
            predictions=None if self.predictions is None else self.predictions[every],
        )

    @staticmethod
    def combine(parts: Sequence[Posterior]) -> Posterior:
        """The mixture of several posteriors of one network, each with the weight of its draws, as further chains.

        They may be of several methods, whose log densities are then not comparable. ValueError unless all have the same
        parameters, number of draws, examples and link.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("combine: expected a list of one posterior or more, got none")
        first = parts[0]
        for other in parts[1:]:
            for name, one, two in zip(("draws", "predictions", "link"), first.form(), other.form(), strict=True):
                if one != two:
                    raise ValueError(f"{name} of shapes {one!r} and {two!r}: expected equal ones; see thin")

        def joined(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        def common(name: str) -> float:
            values = {getattr(part, name) for part in parts}
            return values.pop() if len(values) == 1 else np.nan

        return Posterior(
            draws={name: np.concatenate([part.draws[name] for part in parts]) for name in first.draws},
            logdensity=joined("logdensity"),
            acceptance=joined("acceptance"),
            step_size=joined("step_size"),
            predictions=None if first.predictions is None else joined("predictions"),
            link=first.link,
            power=common("power"),
            temperature=common("temperature"),
            method=" + ".join(dict.fromkeys(part.method for part in parts if part.method)),
        )

    def form(self) -> tuple[Any, Any, str]:
        """Shapes without chains of parameters and predictions, and the link."""
        shapes = {name: w.shape[1:] for name, w in sorted(self.draws.items())}
        return shapes, None if self.predictions is None else self.predictions.shape[1:], self.link

    def negative_log_likelihoods(self, y: Any) -> np.ndarray:
        r"""Mean of :math:`-\log p_{s,y}` over the examples for each draw, (chains, draws): the trace that tells whether
        chains agree on how well they predict."""
        values = calibration.negative_log_likelihood(self.probabilities, self.classes(y))
        return values.reshape(*self.logdensity.shape, -1).mean(axis=-1, dtype=np.float64)

    def mixed(self, y: Any = None) -> Mixing:
        """Whether the chains agree on their predictions, and, if given, on the likelihood of the labels `y`.

        The result is true or false as a condition and a plain word as a string, such as "not mixed: R-hat of the
        predictions 1.6 …". It is of each draw's probability of the class that the mean predicts for an example, or of
        every value where predictions are no classes; `rhat` has all of them. Weights are not looked at: a network with
        permuted neurons is the same network.
        """
        found = self.samples
        if self.link == "softmax":
            chosen = self.mean_probabilities.argmax(axis=-1)
            found = np.take_along_axis(found, chosen[None, ..., None], axis=-1)
        nll = None if y is None else self.negative_log_likelihoods(y)
        return diagnostics.mixing(found.reshape(*self.logdensity.shape, -1), self.logdensity, nll)

    def trend(self) -> Trend:
        """Test of whether the log density is level, see `neko.bayes.diagnostics.trend`."""
        return diagnostics.trend(self.logdensity)

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
        return diagnostics.diagnose("rhat", self.traces())

    def ess(self) -> dict[str, np.ndarray]:
        """Effective sample size (bulk) by ArviZ over all chains, in the form of `rhat`; one chain is enough.

        For an entry that is equal in all draws it is the number of draws. NaN for fewer than four draws in a chain.
        """
        return diagnostics.diagnose("ess", self.traces())

    def traces(self) -> dict[str, np.ndarray]:
        """Parameters, log density and predictions by name, (chains, draws, …)."""
        found = dict(self.draws)
        found[free("logdensity", found)] = self.logdensity
        if self.predictions is not None:
            found[free("predictions", found)] = self.predictions
        return found

    def to_arviz(self) -> Any:
        """An ArviZ ``InferenceData``: the groups 'posterior', 'sample_stats' (lp, acceptance_rate, step_size) and, if
        there are any, 'predictions' ('probability', or 'prediction' where it is none, by example, time and output).

        Parameters have their names, with "." for "/"; a name already used by ArviZ or another parameter gets a "_".
        """
        return storage.exported(self)

    def save(self, path: str | Path) -> Path:
        """Write all that it has, with every bit, as an ArviZ ``InferenceData`` in a netCDF file (needs the extra
        ``bayes``). The file has its old or its new content after any interruption."""
        return storage.save(self, path)

    @staticmethod
    def load(path: str | Path) -> Posterior:
        """The posterior that `save` has written; ValueError for another file."""
        return Posterior(**storage.load(path))
