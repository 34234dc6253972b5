"""Block updates as a learning rule: Metropolis within Gibbs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neko.bayes.chain import Chain
from neko.bayes.full_data import FullData
from neko.bayes.gibbs import blocks as gibbs_blocks
from neko.bayes.gibbs.blocks import Block
from neko.bayes.gibbs.contributions import Contributions, refused
from neko.bayes.gibbs.sweep import Sweep
from neko.bayes.inference import METHODS
from neko.bayes.priors import Scaled
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.samplers import adaptation
from neko.typing import Array


class State(NamedTuple):
    """Position of the chain, with the log density there."""

    position: Params
    logdensity: Array


class Info(NamedTuple):
    """The mean probability of acceptance of the proposals of a sweep, over blocks and by block."""

    acceptance_probability: Array
    by_block: dict[str, Array]


@METHODS.register("block_gibbs")
class BlockGibbs(FullData):
    r"""Draw a network's weights from their posterior block by block: Metropolis within Gibbs.

    A transition is a sweep: each block of parameters is moved by its own kernel given all others, by default the
    weights onto one neuron after those onto another by pCN, and the readout by Hamiltonian Monte Carlo. A proposal for
    one neuron changes few spikes, so that it is accepted in a network of any width, where one for all weights of a
    density with jumps is not. Each kernel leaves the posterior of the full data as it is.

    Where the outputs are a sum over the neurons of the last layer (a feed-forward one before the readout, with a
    sequence-level target on the mean or last output, or one step), the proposals of all neurons come from one pass
    over the data, and each is judged by its change of the outputs alone: a sweep costs a few passes. Elsewhere every
    proposal costs a pass over the full data, and a sweep over n neurons n of them; `incremental` says which.

    Parameters
    ----------
    model : Evaluator
        Model and loss; a network of cells.
    blocks : sequence of Block, optional
        Blocks in the order of a sweep, together of all parameters, see `neko.bayes.gibbs`.
    **options
        See `Sampling`: ``drift`` (for kernels with a gradient), ``chains``, ``warmup``, …

    Raises
    ------
    ValueError
        For parameters without a block, blocks without parameters, and a kernel that is not defined for a prior (pCN for
        one that is not normal).

    References
    ----------
    R. Neal, "MCMC using Hamiltonian dynamics", 2011, section 5.1 (kernels in turn); Cotter et al. (2013),
    doi:10.1214/13-STS421 (pCN); blocks of a network: doi:10.1007/s11222-023-10285-5.
    """

    def __init__(self, model: Evaluator, *, blocks: Sequence[Block] | None = None, **options: Any) -> None:
        super().__init__(model, **options)
        if not model.model.cells:
            raise TypeError(f"{model.model!r} has no cells: expected a network of cells, or another sampler")
        self.blocks = gibbs_blocks.checked(blocks)
        self._named = gibbs_blocks.named(self.blocks or gibbs_blocks.default(model.model))
        self._refused: str | None = None

    @property
    def incremental(self) -> bool:
        """Whether proposals for neurons of the last layer are judged by their change of the outputs, without a pass
        over the data for each; known after the first epoch."""
        return self._began is not None and self._refused is None

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        super().begin(arrays, found)
        params = self.model.params
        gibbs_blocks.check_cover(list(self._named.values()), params)
        for block in self._named.values():
            own = {name: self.priors[name] for name in block.names(params)}
            other = [prior for prior in own.values() if not isinstance(prior, Scaled)]
            if other:
                raise ValueError(f"prior {other[0]!r}: block updates need Normal or Laplace, whose scale is known")
            block.kernel.check(own)
        with self.xp.scope():
            self._refused = refused(self.model, [self.model.batch(*batch) for batch in arrays])

    def sweep(self, feedback: Params, buffers: Any, data: Any) -> Sweep:
        """The sweep over the blocks at the data."""
        cells = self.model.model.cells
        layers = gibbs_blocks.layers(self.model.model)
        return Sweep(
            self.xp,
            self._named,
            self.priors,
            self.power,
            self.temperature,
            {layer: cell.units for layer, cell in zip(layers, cells, strict=True)},
            lambda params: self.loglikelihood(params, buffers, data),
            lambda params: self.likelihood(params, feedback, buffers, data),
            None if self._refused is not None else Contributions(self.model),
        )

    def initial_state(self, position: Params, *arguments: Any) -> State:
        return self.at(position, self.loglikelihood(position, *arguments[1:]))

    def at(self, position: Params, likelihood: Array) -> State:
        """The state at a position, from log L there."""
        return State(position, self.target.value(position, likelihood))

    def transition(self, key: Array, state: State, step_size: Any, *arguments: Any) -> tuple[Array, State, Info]:
        key, now = self.xp.unstack(self.xp.random.split(key))
        position, likelihood, acceptance = self.sweep(*arguments)(now, state.position, step_size, arguments[-1])
        mean = sum(acceptance.values()) / len(acceptance)
        return key, self.at(position, likelihood), Info(mean, acceptance)

    def blank(self, chain: Chain) -> State:
        return State(chain.position, self.xp.zeros(()))

    def tuning(self) -> dict[str, adaptation.State]:
        """The state of the adaptation of every block whose kernel has a step size."""
        sizes = {name: block.kernel.step_size for name, block in self._named.items()}
        return {name: adaptation.init(size) for name, size in sizes.items() if size is not None}

    def settled(self, tuning: dict[str, adaptation.State]) -> dict[str, float]:
        of = adaptation.current if self.warming else adaptation.final
        return {name: of(state) for name, state in tuning.items()}

    def tuned(self, tuning: dict[str, adaptation.State], state: State, info: Info) -> dict[str, adaptation.State]:
        found = {}
        for name, before in tuning.items():
            target = self._named[name].kernel.target_acceptance
            found[name] = adaptation.update(before, float(info.by_block[name]), target)
        return found

    def summary(self) -> dict[str, float]:
        rates = {
            f"acceptance of {name}": float(np.mean([float(chain.info.by_block[name]) for chain in self.chains]))
            for name in self._named
        }
        return {**super().summary(), **rates, "step_size": float(np.mean(self.step_sizes()))}

    def step_sizes(self) -> list[float]:
        """That of the last block of a chain that has one, NaN without any."""
        found = [list(self.settled(chain.tuning).values()) for chain in self.chains]
        return [sizes[-1] if sizes else math.nan for sizes in found]
