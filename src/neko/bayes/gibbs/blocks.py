"""Blocks: which parameters a sweep moves together, and by which kernel."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from neko.arguments import as_list, check_choice
from neko.bayes.gibbs.guided import HMC
from neko.bayes.gibbs.independent import PCN
from neko.bayes.gibbs.kernel import Kernel
from neko.models.base import Trainable


@dataclass(frozen=True)
class Block:
    """Parameters that one kernel moves, given all others.

    Parameters
    ----------
    parameters : str
        Name or pattern of the parameters, such as ``'layers.0.*'``.
    kernel : Kernel
        The move, see `neko.bayes.gibbs`.
    by : {'layer', 'neuron'}
        Whether the kernel moves all at once, or the weights onto one neuron after those onto another (PCN, RandomWalk),
        of every layer in turn; then at once what is of no single neuron of a layer, such as a readout.
    """

    parameters: str
    kernel: Kernel
    by: str = "layer"

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, str):
            raise TypeError(f"parameters={self.parameters!r}: expected a name or pattern, such as 'layers.0.*'")
        if not isinstance(self.kernel, Kernel):
            raise TypeError(f"kernel={self.kernel!r}: expected one of neko.bayes.gibbs, for example PCN()")
        check_choice("by", self.by, ("layer", "neuron"))
        if self.by == "neuron" and not self.kernel.independent:
            raise ValueError(
                f"by='neuron' with {self.kernel!r}: expected PCN or RandomWalk, whose proposals for all neurons can be "
                "made at once; or by='layer'"
            )

    def names(self, params: dict[str, Any]) -> list[str]:
        """The parameters of the block."""
        return sorted(fnmatch.filter(params, self.parameters))

    def parts(self, params: dict[str, Any], units: dict[str, int]) -> list[tuple[str | None, list[str]]]:
        """What the kernel moves in turn: a layer, by the beginning of its names, neuron by neuron, and what it moves at
        once under None. `units` are the sizes of the layers."""
        names = self.names(params)
        if self.by == "layer":
            return [(None, names)]
        parts: list[tuple[str | None, list[str]]] = []
        for layer, count in units.items():
            parts.append((layer, [n for n in names if n.startswith(layer) and params[n].shape[-1] % count == 0]))
        single = {name for _, own in parts for name in own}
        parts.append((None, [name for name in names if name not in single]))
        return [(layer, own) for layer, own in parts if own]


def default(model: Trainable) -> tuple[Block, ...]:
    """pCN neuron by neuron for every layer of cells, and Hamiltonian Monte Carlo for the readout."""
    hidden = (Block(f"{layer}*", PCN(), "neuron") for layer in layers(model))
    return (*hidden, *(Block(f"{direction.prefix}readout.*", HMC()) for direction in model.directions))


def layers(model: Trainable) -> list[str]:
    """The beginning of the names of the parameters of every layer of cells."""
    count = len(model.cells) // len(model.directions)
    return [f"{direction.prefix}layers.{i}." for direction in model.directions for i in range(count)]


def named(blocks: Sequence[Block]) -> dict[str, Block]:
    """Blocks by a name of their own: their pattern, numbered where several have the same."""
    found: dict[str, Block] = {}
    for block in blocks:
        count = sum(other.parameters == block.parameters for other in found.values())
        found[block.parameters if not count else f"{block.parameters} {count + 1}"] = block
    return found


def checked(blocks: Any) -> tuple[Block, ...] | None:
    """Blocks as a tuple, None for the default; TypeError for anything else."""
    if blocks is None:
        return None
    found = as_list("blocks", blocks, "[Block('layers.0.*', PCN(), by='neuron'), Block('readout.*', HMC())]")
    if not found or not all(isinstance(block, Block) for block in found):
        raise TypeError(f"blocks={blocks!r}: expected a list of neko.bayes.gibbs.Block")
    return tuple(found)


def check_cover(blocks: Sequence[Block], params: dict[str, Any]) -> None:
    """ValueError unless every parameter is in a block, and every block has parameters."""
    idle = [block.parameters for block in blocks if not block.names(params)]
    if idle:
        raise ValueError(f"blocks of {idle!r}: expected names or patterns of {sorted(params)!r}")
    fixed = sorted(set(params) - {name for block in blocks for name in block.names(params)})
    if fixed:
        raise ValueError(f"no block has {fixed!r}: a parameter that never moves is not sampled")
