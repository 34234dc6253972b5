"""A network of cells on a backend, with its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neko import arguments, identity, tree
from neko import backend as backends
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import learnt
from neko.cells.surrogates import check_derivative
from neko.models.base import Pass, Trainable, check_task
from neko.models.converters import Converters, check_converters
from neko.models.directions import BACKWARD, FORWARD
from neko.models.layer import following, scanned
from neko.models.network import Network, NetworkState, Params
from neko.models.operations import Operations, count
from neko.models.readout import LeakyReadout
from neko.typing import Array


class Model(Trainable):
    """A network of cells on a backend; it holds the parameters that rules train.

    Parameters
    ----------
    cells : Cell or sequence of Cell
        The layers, from input to output.
    outputs : int
        Number of outputs.
    backend : Backend or str
        Where arrays live, for example ``pytorch_backend`` or ``'torch'``.
    task_type : {'classification', 'regression'}, optional
        What `predict` of the model alone returns: class probabilities, or outputs as they are (the default). Under an
        `Evaluator` the loss decides.
    tau_out : float or None
        Time constant of the readout in ms, None for a readout without memory.
    readout_scaling : bool
        Scale the readout's drive by ``1 - κ``.
    bidirectional : bool
        Add a second network of the same cells, which reads each sequence from its last valid frame to its first; the
        outputs of both, each filtered along its own direction of time, are added.
    converters : Converters, optional
        The analog-to-digital and digital-to-analog converters around the weights; None computes without rounding.
    seed : int
        Seed of the initial weights, equal on every backend.

    Attributes
    ----------
    params : dict of Array
        ``layers.<i>.w_in`` (n_in, k n), ``layers.<i>.w_rec`` (n, k n), ``layers.<i>.b`` (k n) where the cell
        has a bias, ``readout.w_out`` (n, outputs), ``readout.b_out`` (outputs); those of the second direction begin
        with ``backward.``. A constant that learns has the parameter θ ``layers.<i>.constants.<name>``, see
        `neko.Learnable`. Empty before `build`.
    cells : tuple of Cell
        The cells of every layer, of the second direction after those of the first.

    Examples
    --------
    >>> from neko import Model
    >>> from neko.cells import ALIF, LIF
    >>> model = Model([LIF(32), ALIF(16)], 10, "torch").build(4)
    >>> model.params["layers.1.w_in"].shape
    torch.Size([32, 16])
    """

    def __init__(
        self,
        cells: Cell | Iterable[Cell],
        outputs: int,
        backend: Any,
        *,
        task_type: str | None = None,
        tau_out: float | None = 20.0,
        readout_scaling: bool = False,
        bidirectional: bool = False,
        converters: Converters | None = None,
        seed: int = 0,
    ) -> None:
        single = isinstance(cells, Cell)
        layers = (cells,) if single else tuple(arguments.as_list("cells", cells, "[LIF(32), ALIF(16)]"))
        dt = layers[0].dt if layers and isinstance(layers[0], Cell) else 1.0
        readout = LeakyReadout(outputs, tau_out=tau_out, input_scaling=readout_scaling, dt=dt)
        check_converters(converters)
        exact = Network(layers, readout)
        self.network: Network = exact if converters is None else converters.around(exact)
        self.xp = backends.get(backend) if isinstance(backend, str) else backend
        if not hasattr(self.xp, "dtype_name"):
            raise TypeError(f"backend={backend!r}: expected a backend of neko.backend or its name, such as 'torch'")
        self.task_type = check_task(task_type)
        self.seed = arguments.check_integer("seed", seed, least=0)
        self.params: Params = {}
        self.buffers = None
        if not isinstance(bidirectional, bool):
            raise TypeError(f"bidirectional={bidirectional!r}: expected True or False")
        self.directions = (FORWARD, BACKWARD) if bidirectional else (FORWARD,)
        self.cells = self.network.cells * len(self.directions)
        self.dt = dt
        for cell in layers:
            check_derivative(self.xp, getattr(cell, "surrogate", None))

    def __repr__(self) -> str:
        weights = sum(int(np.prod(p.shape)) for p in self.params.values())
        task = [] if self.task_type is None else [self.task_type]
        size = f"{weights:,} weights" if self.params else "not built"
        precision = self.xp.dtype_name + (f", products in {self.xp.products}" if self.xp.products else "")
        options = [repr(self.network.readout), f"{self.xp.name} {precision}", *task, size]
        options += ["bidirectional"] if self.bidirectional else []
        return f"Model([{', '.join(map(repr, self.network.cells))}], {', '.join(options)})"

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy.deepcopy`: parameters as NumPy arrays."""
        return {**self.__dict__, "params": {name: np.array(self.xp.to_numpy(p)) for name, p in self.params.items()}}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self.params = {name: self.xp.asarray(p) for name, p in kept["params"].items()}

    def build(self, n_in: int) -> Model:
        """Draw the initial weights for inputs of width `n_in`; a built model is not changed."""
        n_in = arguments.check_integer("n_in", n_in)
        if not self.params:
            for number, direction in enumerate(self.directions):
                drawn = self.network.parameters(n_in, (self.seed, number) if number else self.seed)
                self.params |= direction.named({name: self.xp.asarray(w) for name, w in drawn.items()})
        if n_in != self.n_in:
            raise ValueError(f"inputs of width {n_in!r}: this model was built for width {self.n_in}")
        return self

    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        shape = np.shape(x)
        if len(shape) != 3 or 0 in shape:
            raise ValueError(f"x has shape {tuple(shape)!r}: expected (batch, time, n_in), none of them 0")
        self.build(int(shape[2]))

    @property
    def outputs(self) -> int:
        return self.network.readout.units

    def shape(self, x: Any) -> tuple[int, int] | None:
        return int(x.shape[0]), int(x.shape[1])

    def arrange(self, x: Array) -> Array:
        return self.xp.permute_dims(x, (1, 0, 2))

    def forward(self, xp: Backend, params: Params, x: Array, carry: Any, *, training: bool) -> Pass:
        return self.masked(xp, params, x, carry, training=training, valid=None)

    def masked(self, xp: Backend, params: Params, x: Array, carry: Any, *, training: bool, valid: Array | None) -> Pass:
        start = self.rest(x) if carry is None else carry
        outputs: list[Array] = []
        emissions: list[Array] = []
        for direction in self.directions:
            turn = direction.turn(xp, valid)
            last, y, zs = self.network.unroll(xp, direction.own(params), turn(x), start)
            outputs.append(turn(y))
            emissions += map(turn, zs)
        total = sum(outputs[1:], outputs[0])
        return Pass(None if self.bidirectional else last, total, tuple(emissions), 0.0)

    def operations(self, xp: Backend, params: Params, x: Array, valid: Array, closing: Array, rates: Any) -> Operations:
        return count(xp, self.network, self.directions, params, x, valid, closing, rates)

    def asymmetric(self) -> dict[str, int]:
        cells = self.network.cells
        recurrent = {f"layers.{i}.w_rec": -1 for i, cell in enumerate(cells) if cell.recurrent_currents}
        upper = {f"layers.{i}.w_in": -1 for i in range(1, len(cells))}
        own: Any = {**recurrent, **upper, "readout.w_out": -1}
        return {name: axis for direction in self.directions for name, axis in direction.named(own).items()}

    @property
    def constants(self) -> dict[str, np.ndarray]:
        """The present values of the constants that learn, by ``layers.<i>.<name>``: arrays (n,), or (1,) of one that
        the neurons of a layer share. Empty before `build`."""
        found = {}
        for direction in self.directions if self.params else ():
            own = direction.own(self.params)
            for i, cell in enumerate(self.network.cells):
                for name, constant in learnt(cell).items():
                    with self.xp.scope():
                        value = constant.at(self.xp, own[f"layers.{i}.constants.{name}"])
                    found[f"{direction.prefix}layers.{i}.{name}"] = np.array(self.xp.to_numpy(value))
        return found

    @property
    def n_in(self) -> int:
        """Width of the inputs that the parameters were drawn for."""
        return int(self.params["layers.0.w_in"].shape[0])

    def identity(self) -> dict[str, Any]:
        parts = ("cells", "readout", *([] if self.network.converters is None else ["converters"]))
        network = {name: getattr(self.network, name) for name in parts}
        return identity.options_of(self, ("task_type", "bidirectional")) | identity.describe(network)

    def clone(self) -> Model:
        """A model with the same network and a copy of the parameters."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.params = {name: self.xp.asarray(np.array(self.xp.to_numpy(p))) for name, p in self.params.items()}
        return other

    def record(self, x: Any) -> list[Any]:
        """States of every layer over time for `x` (batch, time, n_in): a list of the cells' own state
        tuples, each field a NumPy array (batch, time, n)."""
        xp, x = self.xp, self.inputs(x)
        with xp.scope():
            x, states = self.arrange(x), []
            for direction in self.directions:
                turn, own = direction.turn(xp, None), direction.own(self.params)
                last, _, traces = self.network.record(xp.forward_only(), own, turn(x), self.rest(x), scanned)
                for trace, h in zip(traces, last.layers, strict=True):
                    after = tree.map(lambda a, b: following(xp, a, b), trace.steps.before, h)
                    states.append(tree.map(turn, after))
            return tree.map(lambda a: xp.to_numpy(a).swapaxes(0, 1), states)

    def rest(self, x: Array) -> NetworkState:
        """The state before the first step for inputs with time leading."""
        return self.network.initial_state(self.xp, x.shape[1])
