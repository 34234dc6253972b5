"""The membrane, reset and refractory period that integrate-and-fire neurons share."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from neko.arguments import check_choice
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.constants import decay, fixed, flag, leak, not_negative, per_neuron, positive, settle
from neko.cells.surrogates import Triangular
from neko.typing import Array

SLACK = 1e-6
"""Relative tolerance in the number of steps of a refractory period: 0.3 ms / 0.1 ms in single precision is 3 steps."""


@dataclass(frozen=True, eq=False, repr=False)
class IntegrateAndFire(Cell):
    r"""Base of integrate-and-fire neurons: a leaky membrane, a threshold, a reset and a refractory period.

    .. math::
        v_t = α v_{t-1} + c I_t - v_{th} z_{t-1}, \qquad α = e^{-dt/τ_m}

    where ``c = 1 - α`` with `input_scaling`, else 1. With ``reset='zero'`` the membrane restarts from zero:
    ``v_t = α v_{t-1} (1 - z_{t-1}) + c I_t``. Two spikes of one neuron are at least `t_ref` apart, and ψ = 0 in
    between. The state of a subclass has the fields `v`, `r` (steps left of the refractory period, None without one)
    and, as the last, the spike `z`.

    Parameters
    ----------
    units : int
        Number of neurons.
    tau_m : float or sequence (n,)
        Membrane time constant in ms. The default suits sequences of tens of steps, such as the rows of
        an image; tasks that bridge hundreds of milliseconds take 20 and more. ``math.inf`` is a membrane without leak,
        α = 1: the integrate-and-fire neuron.
    v_th : float or sequence (n,)
        Threshold; the surrogate's argument is ``u = (v - v_th) / v_th``.
    t_ref : float or sequence (n,)
        Refractory period in ms, rounded up to whole steps.
    reset : {'subtract', 'zero'}
        Effect of a spike on the membrane: subtract the threshold, or restart from zero.
    input_scaling : bool
        Scale currents by ``1 - α``.
    recurrent : bool
        Whether the neurons are recurrently connected; otherwise the layer has no ``w_rec``.
    autapses : bool
        Whether neurons connect to themselves through ``w_rec``; if not, its diagonal is ignored.
    bias : bool
        Whether every current has a trainable bias.
    detach_reset : bool
        Propagate no gradient through the reset, in any rule. e-prop never does.
    surrogate : Surrogate, str or callable
        ψ, see `neko.cells.surrogates`: an object, a name such as 'arctan', or a function ``f(xp, u)`` or ``f(u)``
        that gives the derivative ψ(u).
    dt : float
        Time step in ms.

    Raises
    ------
    ValueError
        For a time constant or threshold that is not positive, an unknown `reset`, or currents that are scaled by
        ``1 - α = 0``.
    TypeError
        For a `Learnable` refractory period, and for a trainable parameter of a framework: a constant that rules train
        is a `neko.Learnable`, as in ``tau_m=Learnable(20.0)``.
    """

    spiking: ClassVar[bool] = True

    _: KW_ONLY
    tau_m: Any = 5.0
    v_th: Any = 1.0
    t_ref: Any = 0.0
    reset: str = "subtract"
    input_scaling: bool = False
    recurrent: bool = True
    autapses: bool = False  # type: ignore[misc]
    bias: bool = False  # type: ignore[misc]
    detach_reset: bool = False
    surrogate: Any = Triangular()
    dt: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        fixed("t_ref", self.t_ref, "it sets a number of steps, which has no derivative")
        settle(self, self.units, leak, "tau_m")
        settle(self, self.units, positive, "v_th")
        settle(self, self.units, not_negative, "t_ref")
        settle(self, None, positive, "dt")
        settle(self, None, flag, "input_scaling", "recurrent", "autapses", "bias", "detach_reset")
        check_choice("reset", self.reset, ("subtract", "zero"))
        if self.input_scaling and self.tau_m == math.inf:
            raise ValueError("input_scaling=True with tau_m=inf: expected input_scaling=False, since 1 - α is 0")

    @property
    def recurrent_currents(self) -> tuple[int, ...]:  # type: ignore[override]
        """None for a feed-forward layer."""
        return (0,) if self.recurrent else ()

    def initial_state(self, xp: Backend, batch: int) -> Any:
        state = super().initial_state(xp, batch)
        return state if max(self.refractory_steps) > 1 else state._replace(r=None)

    @property
    def response_decay(self) -> float | None:
        """α, if all neurons have the same `tau_m`."""
        return math.exp(-self.dt / self.tau_m) if isinstance(self.tau_m, float) else None

    @property
    def refractory_steps(self) -> tuple[int, ...]:
        """Smallest number of steps between two spikes of a neuron: one number, or one per neuron."""
        periods = (self.t_ref,) if isinstance(self.t_ref, float) else self.t_ref
        return tuple(max(1, math.ceil(t / self.dt * (1.0 - SLACK))) for t in periods)

    def membrane(self, xp: Backend, state: Any, current: Array) -> Array:
        """``v_t``: leak, current and the reset by the last spike."""
        alpha = decay(xp, self.dt, self.tau_m)
        z = xp.stop_gradient(state.z) if self.detach_reset else state.z
        if self.input_scaling:
            current = (1.0 - alpha) * current
        if self.reset == "zero":
            return alpha * (state.v * (1.0 - z)) + current
        return alpha * state.v + current - per_neuron(xp, self.v_th) * z

    def fire(self, xp: Backend, r: Array | None, v: Array) -> tuple[Array | None, Array]:
        """Refractory counter and spikes, of neurons with ``v > v_th`` outside their refractory period."""
        z = self.surrogate(xp, v * (1.0 / per_neuron(xp, self.v_th)) - 1.0)
        if r is None:
            return None, z
        z = xp.where(r > 0.0, xp.zeros_like(z), z)
        steps = tuple(float(n) for n in self.refractory_steps)
        n = per_neuron(xp, steps[0] if len(steps) == 1 else steps)
        return xp.maximum(r + n * xp.stop_gradient(z) - 1.0, 0.0), z
