"""A network of cells as a `torch.nn.Module` that needs PyTorch alone."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import torch
from torch._higher_order_ops.scan import scan
from torch.export import Dim, ExportedProgram
from torch.export.pt2_archive._package import package_pt2

from neko import backend as backends
from neko.arguments import as_path
from neko.backend import generated
from neko.errors import ExchangeError
from neko.exchange import stepwise
from neko.io import files
from neko.models import Model
from neko.models.network import Network

BATCH, TIME = 2, 3
"""Sizes of the example that a program is traced with; the program takes any."""


class Exported:
    """A network as modules of PyTorch's own operations; none of the modules holds anything of Neko.

    Attributes
    ----------
    step : torch.nn.Module
        From ``(x, state)``, inputs (batch, n_in) and a dict of tensors (batch, n), to outputs (batch, outputs) and the
        next state.
    rest : torch.nn.Module
        From inputs (batch, n_in) to the state before the first step, for as many examples.
    sequence : torch.nn.Module
        From inputs (batch, time, n_in) to outputs (batch, time, outputs) and the last state, from rest. It is made when
        it is first used, which takes seconds.
    """

    def __init__(self, model: Model) -> None:
        self._network = model.network
        xp, step, self._now, _ = step_program(model)
        rest = exported(model.network, Rest(xp, model), (self._now,), ({0: Dim("batch")},))
        self._programs = {"model": step, "rest": rest}  # `torch.export.load` looks for 'model'
        self.step = step.module()
        self.rest = rest.module()

    @functools.cached_property
    def sequence(self) -> torch.nn.Module:
        return self._whole.module()

    @functools.cached_property
    def _whole(self) -> ExportedProgram:
        x = self._now[:, None].expand(-1, TIME, -1)
        module = Sequence(self._programs["rest"], self._programs["model"])
        return exported(self._network, module, (x,), ({0: Dim("batch"), 1: Dim("time")},))

    def save(self, path: str | Path) -> Path:
        """Write all three as a PT2 archive, whole or not at all."""
        path = as_path("path", path)
        files.prepare(path.parent)
        temporary = path.with_name(f".{path.stem}.tmp.pt2")
        try:
            package_pt2(temporary, exported_programs={**self._programs, "sequence": self._whole})
            return files.write(path, temporary.read_bytes())
        finally:
            temporary.unlink(missing_ok=True)


def to_torch(model: Model, path: str | Path | None = None) -> Exported:
    """A network of cells, on any backend, as modules of PyTorch, and as a file that PyTorch alone loads.

    The modules are programs of `torch.export`, made from the cells' own steps, so that every cell can be exported, a
    user's too, if its ``dynamics`` does not branch on values. Weights keep their names and the precision of the model.

    Parameters
    ----------
    model : Model
        A built network, of one direction.
    path : path, optional
        Where to write a PT2 archive: ``torch.export.load(path).module()`` is the step; the programs ``sequence`` and
        ``rest`` are beside it.

    Raises
    ------
    ExchangeError
        For a network without weights or of two directions, and for a cell that `torch.export` cannot trace.
    OSError
        If the file cannot be written.

    Notes
    -----
    The modules compute forward passes. Surrogate gradients are not exported: a spike has derivative zero in them.

    Examples
    --------
    >>> import torch, neko
    >>> net = to_torch(neko.LIF(8, 2, "torch").build(3))
    >>> x = torch.ones(4, 20, 3)
    >>> y, state = net.step(x[:, 0], net.rest(x[:, 0]))
    >>> y.shape, sorted(state)
    (torch.Size([4, 2]), ['layers.0.v', 'layers.0.z', 'readout.f'])
    """
    found = Exported(stepwise.check(model))
    if path is not None:
        found.save(path)
    return found


def step_program(model: Model) -> tuple[Any, ExportedProgram, torch.Tensor, stepwise.State]:
    """The backend, the step as a program, and the example of inputs and state that it was traced with."""
    whole = backends.get("torch", dtype=model.xp.dtype_name).forward_only()
    xp = object.__new__(type(whole))  # a copy of a backend is the backend itself
    xp.__dict__ |= {**vars(whole), "leaky_filter": filter_step}
    with xp.scope():
        x, rest = xp.zeros((BATCH, model.n_in)), stepwise.rest(xp, model.network, BATCH)
        # A tensor that is in an example twice is one input of a program.
        state = {name: value.clone() for name, value in rest.items()}
    batch = {0: Dim("batch")}
    return xp, exported(model.network, Step(xp, model), (x, state), (batch, dict.fromkeys(state, batch))), x, state


def filter_step(kappa: float, drive: Any, start: Any, reverse: bool) -> tuple[Any, Any]:
    """The leaky filter of a backend for a sequence of one step, without the blocks of a long one."""
    f = kappa * start + drive
    return f[0], f


def exported(network: Network, module: torch.nn.Module, example: tuple[Any, ...], shapes: Any) -> ExportedProgram:
    """A module as a program, without the places in the source that it was traced from."""
    try:
        with generated.plain(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own deprecated parts
            found = torch.export.export(module, example, dynamic_shapes=shapes)
    except Exception as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise ExchangeError(
            f"{network.cells!r}: torch.export cannot trace the step ({told[0]}); expected a `dynamics` of "
            "operations that do not depend on values of arrays"
        ) from error
    for part in found.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            part.graph.eliminate_dead_code()
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)
            part.recompile()
    return found


class Rest(torch.nn.Module):
    """The state before the first step, for as many examples as there are inputs."""

    def __init__(self, xp: Any, model: Model) -> None:
        super().__init__()
        self.xp = xp
        self.network: Network = model.network

    def forward(self, x: torch.Tensor) -> stepwise.State:
        # Zeros of the batch's size, which would otherwise be a number in the program.
        nothing = x[:, :1] * 0.0
        return {name: nothing + value for name, value in stepwise.rest(self.xp, self.network, 1).items()}


class Step(torch.nn.Module):
    """A network as a module with its weights, by the names that they have in Neko."""

    def __init__(self, xp: Any, model: Model) -> None:
        super().__init__()
        self.xp = xp
        self.network: Network = model.network
        self.names = list(model.params)
        for name, w in model.params.items():
            *path, last = name.split(".")
            owner: torch.nn.Module = self
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, torch.nn.Module())
                owner = owner._modules[part]
            owner.register_parameter(last, torch.nn.Parameter(xp.asarray(model.xp.to_numpy(w).copy())))

    def forward(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, stepwise.State]:
        return stepwise.step(self.xp, self.network, {name: self.get_parameter(name) for name in self.names}, x, state)


class Sequence(torch.nn.Module):
    """The steps of a whole sequence, from rest."""

    def __init__(self, rest: ExportedProgram, step: ExportedProgram) -> None:
        super().__init__()
        self.rest = rest.module(check_guards=False)
        self.step = step.module(check_guards=False)
        for name, value in step.constants.items():  # a scan takes no constant, but a buffer
            delattr(self.step, name)
            self.step.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, stepwise.State]:
        def advance(state: stepwise.State, now: torch.Tensor) -> tuple[stepwise.State, torch.Tensor]:
            y, after = self.step(now, state)
            return after, y

        last, y = scan(advance, self.rest(x[:, 0]), x.transpose(0, 1))
        return y.transpose(0, 1), last
