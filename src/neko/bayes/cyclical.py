"""SGLD and SGHMC with a cyclical step size as learning rules."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_integer, is_real
from neko.bayes.inference import METHODS
from neko.bayes.mini_batch import MiniBatch
from neko.bayes.sghmc import check_friction
from neko.evaluator import Evaluator
from neko.samplers import cyclical, sghmc, sgld


class Cyclical(MiniBatch):
    r"""A sampler from mini-batches whose step size falls in cycles from its largest value towards zero.

    .. math::
        ε_k = \frac{ε_0}{2} [\cos(π r_k) + 1], \qquad r_k = \frac{\mathrm{mod}(k - 1, n)}{n}

    at step k of cycles of n steps, which are `cycle_epochs` epochs: n is that times the number of batches in the first
    epoch of a call of `Trainer.train`. Steps with :math:`r_k` below `exploration` find another mode, without noise; the
    others sample it. An epoch of these alone ends with a draw, if it is after `warmup` and one in `thinning` epochs.
    The cycles go on until the training ends: M of them take ``epochs=M * cycle_epochs``. The draws of a cycle are near
    one mode, and the weight of a mode is the number of cycles that come to it, which is not its probability; further
    bias is that of `MiniBatch`.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε_0.
    cycle_epochs : int
        Number of epochs of a cycle.
    exploration : float
        The part of a cycle without noise, from 0 to below 1 and short enough that its last epoch is sampled.
    warmup : int
        Number of epochs at the beginning without draws; a cycle, for example.
    **options
        See `Sampling`: ``drift``, ``chains``, ``thinning``, …

    References
    ----------
    Zhang, Li, Zhang, Chen & Wilson (2020), arXiv 1902.03932.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        step_size: float = 1e-5,
        cycle_epochs: int = 50,
        exploration: float = 0.8,
        warmup: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(model, step_size=step_size, warmup=warmup, **options)
        self.cycle_epochs = check_integer("cycle_epochs", cycle_epochs)
        last = (self.cycle_epochs - 1) / self.cycle_epochs
        if not (is_real(exploration) and 0.0 <= exploration <= last):
            raise ValueError(
                f"exploration={exploration!r}: expected a number from 0 to {last:g}, so that the last of "
                f"{self.cycle_epochs} epochs is sampled"
            )
        self.exploration = float(exploration)

    def number(self, batch: int) -> int:
        """k of a batch of the present epoch; further batches than in the first epoch count as its last."""
        return self.epochs * self.batches + min(batch, self.batches - 1) + 1

    def pace(self, batch: int) -> tuple[float, float]:
        k, cycle = self.number(batch), self.cycle_epochs * self.batches
        exploring = cyclical.exploring(k, cycle, self.exploration)
        return cyclical.step_size(k, cycle, self.step_size), 0.0 if exploring else 1.0

    def draws_in(self, epoch: int) -> bool:
        return super().draws_in(epoch) and not cyclical.exploring(epoch + 1, self.cycle_epochs, self.exploration)


@METHODS.register("cyclical_sgld")
class CyclicalSGLD(Cyclical):
    """Draw a network's weights by SGLD with a cyclical step size.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    **options
        See `Cyclical`: ``step_size``, ``cycle_epochs``, ``exploration``, ``warmup``, …

    References
    ----------
    Zhang, Li, Zhang, Chen & Wilson (2020), arXiv 1902.03932.
    """

    sampler = sgld


@METHODS.register("cyclical_sghmc")
class CyclicalSGHMC(Cyclical):
    """Draw a network's weights by SGHMC with a cyclical step size; the momentum goes on from cycle to cycle.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    friction : float
        α, above 0 and up to 1, as in `neko.bayes.SGHMC`.
    **options
        See `Cyclical`: ``step_size``, ``cycle_epochs``, ``exploration``, ``warmup``, …

    References
    ----------
    Zhang, Li, Zhang, Chen & Wilson (2020), arXiv 1902.03932.
    """

    sampler = sghmc

    def __init__(self, model: Evaluator, *, friction: float = 0.1, **options: Any) -> None:
        super().__init__(model, **options)
        self.friction = check_friction(friction)

    def settings(self) -> dict[str, Any]:
        return {"friction": self.friction}
