"""A sweep over blocks of parameters: each is moved given all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.bayes.density import Density
from neko.bayes.gibbs.blocks import Block
from neko.bayes.gibbs.contributions import Contributions
from neko.bayes.gibbs.kernel import Setting
from neko.bayes.priors import Prior
from neko.models.network import Params
from neko.samplers import additive
from neko.samplers.mass import Rows
from neko.samplers.proposals import decide
from neko.typing import Array

Values = Callable[[Params], Array]
"""From all parameters to log L of the full data."""
Gradients = Callable[[Params], tuple[Array, Params]]
"""From all parameters to log L of the full data and its gradient."""


class Known(NamedTuple):
    """What a sweep knows of the network beside its parameters: the features s of the last layer and the targets."""

    features: Array
    targets: Array


@dataclass(frozen=True)
class Sweep:
    """The sweep over blocks at one data set.

    `values` and `gradients` pass over the full data. Where the outputs are no sum over neurons `contributions` is None,
    and the likelihood of every proposal is that of such a pass. `units` are by the beginning of the names of a layer.
    """

    xp: Backend
    blocks: dict[str, Block]
    priors: dict[str, Prior]
    power: float
    temperature: float
    units: dict[str, int]
    values: Values
    gradients: Gradients
    contributions: Contributions | None

    def __call__(self, key: Array, params: Params, step_sizes: dict[str, Any], data: Any) -> tuple[Params, Array, Any]:
        """Parameters after a sweep, log L there, and the acceptance by block."""
        xp, sums = self.xp, self.contributions
        known = None if sums is None else Known(sums.features(params, data), sums.targets(data))
        acceptance = {}
        for (name, block), now in zip(
            self.blocks.items(), xp.unstack(xp.random.split(key, len(self.blocks))), strict=True
        ):
            params, known, acceptance[name] = self.update(now, block, params, step_sizes.get(name), data, known)
        if sums is None or known is None:
            return params, self.values(params), acceptance
        return params, sums.loglikelihood(sums.outputs(params, known.features), known.targets), acceptance

    def update(
        self, key: Array, block: Block, params: Params, step_size: Any, data: Any, known: Known | None
    ) -> tuple[Params, Known | None, Any]:
        """Parameters and features after the moves of a block, and the probability of acceptance, a mean over its
        parts."""
        parts, rates = block.parts(params, self.units), []
        keys = [key] if len(parts) == 1 else self.xp.unstack(self.xp.random.split(key, len(parts)))
        for (layer, names), now in zip(parts, keys, strict=True):
            params, known, rate = self.move(now, block, layer, names, params, step_size, data, known)
            rates.append(rate)
        return params, known, sum(rates) / len(rates)

    def move(
        self,
        key: Array,
        block: Block,
        layer: str | None,
        names: list[str],
        params: Params,
        step_size: Any,
        data: Any,
        known: Known | None,
    ) -> tuple[Params, Known | None, Any]:
        """Parameters and features after the move of a part of a block, neuron by neuron of a layer or, for None, at
        once, and the probability of its acceptance."""
        setting = Setting({name: self.priors[name] for name in names}, self.temperature)
        own = {name: params[name] for name in names}
        sums = self.contributions
        if sums is not None and known is not None:
            if all(name.startswith("readout.") for name in names):
                return self.readout(key, block, params, own, step_size, setting, known)
            if layer == sums.layer:
                return self.neurons(key, block, params, own, step_size, setting, data, known)
        if layer is None:
            own, acceptance = block.kernel.step(self.xp, key, own, self.target(block, params), step_size, setting)
        else:
            own, acceptance = self.one_by_one(key, block, layer, params, own, step_size, setting)
        params = {**params, **own}
        if sums is not None and known is not None:
            known = known._replace(features=sums.features(params, data))
        return params, known, acceptance

    @property
    def density(self) -> Density:
        """The density of some parameters given the others."""
        return Density(self.xp, self.priors, self.power, self.temperature)

    def target(self, block: Block, params: Params) -> Any:
        """log π and its gradient by the parameters of a block, each by a pass over the full data."""

        def of(own: Params) -> tuple[Array, Params]:
            if not block.kernel.gradient:
                return self.density.value(own, self.values({**params, **own})), own
            likelihood, gradients = self.gradients({**params, **own})
            return self.density.with_gradient(own, likelihood, gradients)

        return of

    def neurons(
        self,
        key: Array,
        block: Block,
        params: Params,
        own: Params,
        step_size: Any,
        setting: Setting,
        data: Any,
        known: Known,
    ) -> tuple[Params, Known, Array]:
        """The neurons of the last layer one by one: a product for all proposals, then one likelihood of the outputs
        for each."""
        xp, sums = self.xp, self.contributions
        assert sums is not None
        units = self.units[sums.layer]
        keys = xp.unstack(xp.random.split(key))
        proposed = block.kernel.propose(xp, keys[0], own, step_size, setting, units)
        features = sums.features({**params, **proposed}, data)
        _, info = additive.step(
            xp,
            keys[1],
            sums.outputs(params, known.features),
            xp.matrix_transpose(features - known.features),
            params["readout.w_out"],
            self.corrections(block, own, proposed, units),
            lambda outputs: self.power / self.temperature * sums.loglikelihood(outputs, known.targets),
        )
        chosen = xp.astype(info.accepted, xp.dtype)
        merged = {name: self.merged(chosen, proposed[name], w, units) for name, w in own.items()}
        known = known._replace(features=xp.where(info.accepted, features, known.features))
        return {**params, **merged}, known, xp.mean(info.acceptance_probability)

    def one_by_one(
        self, key: Array, block: Block, layer: str, params: Params, own: Params, step_size: Any, setting: Setting
    ) -> tuple[Params, Array]:
        """The neurons of a layer one by one, each by a pass over the full data."""
        xp, units = self.xp, self.units[layer]
        keys = xp.unstack(xp.random.split(key))
        proposed = block.kernel.propose(xp, keys[0], own, step_size, setting, units)
        ratios = self.corrections(block, own, proposed, units)
        factor = self.power / self.temperature

        def update(carry: Any, neuron: Any) -> Any:
            own, value = carry
            alone, ratio, uniform = neuron
            moved = {name: self.merged(alone, proposed[name], w, units) for name, w in own.items()}
            likelihood = factor * self.values({**params, **moved})
            probability, accepted = decide(xp, uniform, likelihood - value + ratio)
            own = {name: xp.where(accepted, moved[name], w) for name, w in own.items()}
            return (own, xp.where(accepted, likelihood, value)), probability

        start = (own, factor * self.values(params))
        uniforms = xp.random.uniform(keys[1], (units,))
        (own, _), probabilities = xp.scan(update, start, (xp.eye(units), ratios, uniforms))
        return own, xp.mean(probabilities)

    def merged(self, chosen: Array, new: Array, old: Array, units: int) -> Array:
        """The weights of the neurons that are `chosen` (units,) from `new`, of the others from `old`."""
        xp = self.xp
        columns = xp.tile(chosen, (old.shape[-1] // units,))
        return xp.where(columns + xp.zeros_like(old) > 0.0, new, old)

    def corrections(self, block: Block, own: Params, proposed: Params, units: int) -> Array:
        """Log ratio of the prior and of the proposals of every neuron, (units,)."""
        xp, found = self.xp, self.xp.zeros((units,))
        if block.kernel.keeps_prior:
            return found
        for name, w in own.items():
            prior: Any = self.priors[name]
            change = prior.entries(xp, proposed[name]) - prior.entries(xp, w)
            found = found + xp.sum(xp.reshape(change, (-1, units)), axis=0)
        return found / self.temperature

    def readout(
        self, key: Array, block: Block, params: Params, own: Params, step_size: Any, setting: Setting, known: Known
    ) -> tuple[Params, Known, Array]:
        """The readout from the features alone. Weights and biases are one matrix, whose rows the mass couples."""
        xp, sums = self.xp, self.contributions
        assert sums is not None

        def loglikelihood(own: Params) -> Array:
            return sums.loglikelihood(sums.outputs({**params, **own}, known.features), known.targets)

        gradients = xp.value_and_grad(loglikelihood)
        joint = bool(block.kernel.gradient) and set(own) == {"readout.w_out", "readout.b_out"}

        def split(position: Params) -> Params:
            if not joint:
                return position
            matrix = position["readout"]
            return {"readout.w_out": matrix[:-1], "readout.b_out": matrix[-1]}

        def target(position: Params) -> tuple[Array, Params]:
            own = split(position)
            if not block.kernel.gradient:
                return self.density.value(own, loglikelihood(own)), position
            likelihood, slope = gradients(own)
            value, drift = self.density.with_gradient(own, likelihood, slope)
            return value, join(drift)

        def join(own: Params) -> Params:
            if not joint:
                return own
            bias = xp.expand_dims(own["readout.b_out"], axis=0)
            return {"readout": xp.concat([own["readout.w_out"], bias], axis=0)}

        curvature = block.kernel.curvature
        if joint and curvature is not None:
            setting = setting._replace(mass=self.mass(curvature, known))
        position, acceptance = block.kernel.step(xp, key, join(own), target, step_size, setting)
        return {**params, **split(position)}, known, acceptance

    def mass(self, curvature: float, known: Known) -> Rows:
        """About the curvature of the density of the readout, one matrix for the rows of weights and bias."""
        xp = self.xp
        s = xp.concat([known.features, xp.ones((known.features.shape[0], 1))], axis=1)
        precision = [
            xp.full((rows,), self.priors[name].precision)  # type: ignore[attr-defined]
            for name, rows in (("readout.w_out", s.shape[1] - 1), ("readout.b_out", 1))
        ]
        diagonal = xp.eye(s.shape[1]) * xp.concat(precision, axis=0)
        matrix = (self.power * curvature * (xp.matrix_transpose(s) @ s) + diagonal) / self.temperature
        return Rows({"readout": xp.cholesky(matrix)})
