"""Generated kernels compute what a cell's step says: values and derivatives, of every cell and of random steps."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neko import backend, tree
from neko.cells import CELLS, Cell
from neko.models.layer import LayerTrace, Scanned, Weights
from neko.rules.jacobian import step_jacobians

pytest.importorskip("numba")
torch = pytest.importorskip("torch")

EXACT = 1e-12
UNITS, N_IN = 7, 4
PER_NEURON = tuple(np.linspace(0.1, 0.3, UNITS).tolist())
VARIANTS = [
    ("alif", {"t_ref": 3.0, "beta": PER_NEURON, "tau_m": 20.0}),
    ("alif", {"reset": "zero"}),
    ("lif", {"t_ref": 2.0, "input_scaling": True}),
    ("lif", {"recurrent": False}),
    *(("alif", {"surrogate": s}) for s in ("boxcar", "fast_sigmoid", "arctan", "gaussian", "multi_gaussian")),
]
CASES = [(name, {}) for name in CELLS] + VARIANTS


def drawn(
    cell: Cell, *, framework: str = "torch", time: int = 23, size: int = 5, scale: float = 0.5
) -> tuple[Any, Weights, Any, Any]:
    """Backend, weights, inputs and initial state."""
    xp, rng, n = backend.get(framework, dtype="float64"), np.random.default_rng(1), cell.units
    k, r = len(cell.input_currents), len(cell.recurrent_currents)
    weights = Weights(
        xp.asarray(rng.normal(size=(N_IN, k * n)) * scale),
        xp.asarray(rng.normal(size=(n, r * n)) * 0.3) if r else None,
        xp.asarray(rng.normal(size=cell.n_currents * n) * 0.1) if cell.bias else None,
    )
    with xp.scope():
        return xp, weights, xp.asarray(rng.normal(size=(time, size, N_IN))), cell.initial_state(xp, size)


def deviations(cell: Cell, **options: Any) -> tuple[float, float]:
    """Largest deviation of values and of derivatives, relative to the largest of each array."""
    xp, *given = drawn(cell, **options)
    with xp.scope():
        return compared(xp, cell, *given)


def compared(xp: Any, cell: Cell, weights: Weights, x: Any, state: Any) -> tuple[float, float]:
    layer = xp.kernels(cell, state).layer
    assert layer is not None, xp.kernels(cell, state).reason
    assert layer.agrees(weights, x, state), xp.kernels(cell, state).reason
    last, emitted, z, steps = Scanned(xp.forward_only(), cell).record(weights, x, state)
    found_last, *found, tape = layer.record(weights, x, state)
    values = [*tree.leaves(last), emitted, z], [*tree.leaves(found_last), *found]
    jacobians = step_jacobians(xp, cell, LayerTrace(x, emitted, z, steps))
    assert tape.alive == jacobians.alive
    derivatives = tree.leaves(list(map(list, jacobians.all_steps()))), tree.leaves(list(map(list, tape.all_steps())))
    rng = np.random.default_rng(2)
    rows = (2, *x.shape[1:2], cell.units)
    signal = xp.asarray(rng.normal(size=(x.shape[0], *rows)))
    end = tuple(xp.asarray(rng.normal(size=rows)) if alive else None for alive in tape.alive)
    credit = tree.leaves(jacobians.adjoint(signal, end)), tree.leaves(tape.adjoint(signal, end))
    pairs = (values, tuple([*d, *c] for d, c in zip(derivatives, credit, strict=True)))
    return tuple(deviation(xp, *pair) for pair in pairs)


def deviation(xp: Any, expected: list[Any], found: list[Any]) -> float:
    """The largest, relative to the largest of each array."""
    pairs = zip(map(xp.to_numpy, expected), map(xp.to_numpy, found), strict=True)
    return max(float(np.max(np.abs(a - b)) / (1e-9 + np.max(np.abs(a)))) for a, b in pairs)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n} {' '.join(o)}" for n, o in CASES])
def test_kernels_compute_the_step_of_every_cell(name: str, options: dict[str, Any], cut: bool) -> None:
    cell = CELLS[name](UNITS, **options)
    # AdEx counts in millivolts from rest to threshold.
    values, derivatives = deviations(cell.without_reset() if cut else cell, scale=3.0 if name == "adex" else 0.5)
    assert values <= EXACT
    assert derivatives <= EXACT


REFRACTORY = {"t_ref": 3.0, "beta": PER_NEURON, "tau_m": 20.0}
ON_JAX = [("lif", {}, False), ("alif", REFRACTORY, False), ("alif", REFRACTORY, True), ("dendritic", {}, False)]


@pytest.mark.parametrize(("name", "options", "cut"), ON_JAX, ids=[f"{n} {'cut' * c}" for n, _, c in ON_JAX])
def test_kernels_compute_the_step_on_jax(name: str, options: dict[str, Any], cut: bool) -> None:
    pytest.importorskip("jax")
    cell = CELLS[name](UNITS, **options)
    assert max(deviations(cell.without_reset() if cut else cell, framework="jax")) <= EXACT


@pytest.mark.parametrize("name", ["alif", "dendritic"])
def test_credit_passes_through_a_layer_on_jax(name: str) -> None:
    pytest.importorskip("jax")
    cell = CELLS[name](UNITS)
    xp, *given = drawn(cell, framework="jax")

    def value(form: Any, given: Any) -> Any:
        last, z = form.unroll(*given)
        return sum(xp.sum(xp.cos(a)) for a in tree.leaves(last)) + xp.sum(xp.cos(xp.cumulative_sum(z, axis=0)))

    with xp.scope():
        layer = xp.kernels(cell, given[-1]).layer
        assert layer.agrees(*given)
        expected, found = (
            tree.leaves(xp.jit(xp.value_and_grad(functools.partial(value, form)))(tuple(given)))
            for form in (Scanned(xp, cell), layer)
        )
    assert deviation(xp, expected, found) <= EXACT


@pytest.mark.parametrize(("v_th", "rate"), [(1e9, 0.0), (1e-9, 1.0)], ids=["none", "all"])
def test_neurons_that_never_or_always_spike(v_th: float, rate: float) -> None:
    cell = CELLS["lif"](UNITS, v_th=v_th, reset="zero", recurrent=True)
    xp, weights, x, state = drawn(cell)
    weights = weights._replace(w_in=abs(weights.w_in), w_rec=abs(weights.w_rec))
    layer = xp.kernels(cell, state).layer
    for inputs in (abs(x) + 0.1,):
        assert layer.agrees(weights, inputs, state)
        _, z = layer.unroll(weights, inputs, state)
        _, expected = Scanned(xp, cell).unroll(weights, inputs, state)
        assert float(z.mean()) == rate
        assert torch.equal(z, expected)


@pytest.mark.parametrize(("time", "size"), [(1, 5), (23, 1), (1, 1), (70, 3)])
def test_one_step_one_sequence_and_more_than_a_block(time: int, size: int) -> None:
    assert max(deviations(CELLS["alif"](UNITS), time=time, size=size)) <= EXACT


def test_a_state_below_the_smallest_normal_number() -> None:
    cell = CELLS["lif"](UNITS)
    xp, weights, x, state = drawn(cell)
    state = state._replace(v=state.v + 1e-310)
    (last, z), (expected, z_expected) = (
        form.unroll(weights, 0.0 * x, state) for form in (xp.kernels(cell, state).layer, Scanned(xp, cell))
    )
    assert torch.equal(last.v, expected.v)
    assert torch.equal(z, z_expected)
    assert float(abs(last.v).max()) > 0.0


def test_two_threads_compute_what_one_computes() -> None:
    cell, before = CELLS["alif"](128), torch.get_num_threads()
    xp, weights, x, state = drawn(cell, time=64, size=9)
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            layer = xp.kernels(cell, state).layer
            *_, z, tape = layer.record(weights, x, state)
            found.append(tree.leaves((z, tape.all_steps(), tape.adjoint(z, (None,) * len(tape.alive)))))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


class Fields(NamedTuple):
    a: Any
    z: Any


Tree = tuple[Any, ...] | str | float
LEAVES = st.one_of(st.sampled_from(["a", "z", "i", "per neuron"]), st.floats(-2.0, 2.0).map(lambda v: round(v, 2)))
ONE = ["neg", "tanh", "sigmoid", "exp", "log", "sqrt", "abs", "sin", "cos", "softplus", "square", "held", "spike"]
TWO = ["add", "sub", "mul", "div", "maximum", "minimum", "where"]


def grown(children: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    one = st.tuples(st.sampled_from(ONE), children)
    return st.one_of(one, st.tuples(st.sampled_from(TWO), children, children))


STEPS = st.recursive(LEAVES, grown, max_leaves=8)


@dataclass(frozen=True, eq=False)
class Drawn(Cell):
    """A step drawn at random: two expressions of state and current, kept finite."""

    State = Fields
    first: Any = "a"
    second: Any = "i"

    def dynamics(self, xp: Any, state: Fields, current: Any) -> Fields:
        leaves = {"a": state.a, "z": state.z, "i": current, "per neuron": xp.asarray(PER_NEURON, dtype=xp.dtype)}

        def value(node: Tree) -> Any:
            if isinstance(node, str):
                return leaves[node]
            if isinstance(node, float):
                return node + 0.0 * state.a
            name, x, *rest = node[0], *map(value, node[1:])
            y = rest[0] if rest else None
            return {
                "neg": lambda: -x,
                "tanh": lambda: xp.tanh(x),
                "sigmoid": lambda: xp.sigmoid(x),
                "exp": lambda: xp.exp(xp.minimum(x, 2.0)),
                "log": lambda: xp.log(1.0 + xp.square(x)),
                "sqrt": lambda: xp.sqrt(0.5 + xp.abs(x)),
                "abs": lambda: xp.abs(x),
                "sin": lambda: xp.sin(x),
                "cos": lambda: xp.cos(x),
                "softplus": lambda: xp.softplus(x),
                "square": lambda: xp.square(xp.tanh(x)),
                "held": lambda: xp.stop_gradient(x) * 0.5 + x,
                "spike": lambda: 0.0 * x + self.spike(xp, x),
                "add": lambda: x + y,
                "sub": lambda: x - y,
                "mul": lambda: xp.tanh(x) * y,
                "div": lambda: x / (1.0 + xp.square(y)),
                "maximum": lambda: xp.maximum(x, y),
                "minimum": lambda: xp.minimum(x, y),
                "where": lambda: xp.where(x > y, x, 0.5 * y),
            }[name]()

        return Fields(0.9 * state.a + xp.tanh(value(self.first)), xp.tanh(value(self.second) + 0.1 * state.a))

    @staticmethod
    def spike(xp: Any, u: Any) -> Any:
        """A spike with a derivative of its own, as a user would write it."""
        held = xp.stop_gradient(u)
        return xp.astype(u > 0.0, xp.dtype) + (u - held) / (1.0 + xp.square(held))


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(first=STEPS, second=STEPS)
def test_kernels_compute_random_steps(first: Tree, second: Tree) -> None:
    assert max(deviations(Drawn(UNITS, first, second), time=6)) <= EXACT


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=STEPS, second=STEPS)
def test_kernels_compute_many_random_steps(first: Tree, second: Tree) -> None:
    assert max(deviations(Drawn(UNITS, first, second), time=6)) <= EXACT


def test_other_constants_compile_nothing_and_are_used() -> None:
    from neko.kernels.plan import PLANS

    assert max(deviations(CELLS["alif"](UNITS, tau_m=7.0, tau_a=91.0))) <= EXACT
    known = len(PLANS)
    assert max(deviations(CELLS["alif"](UNITS, tau_m=13.0, tau_a=60.0, beta=0.4))) <= EXACT
    assert len(PLANS) == known
    cell = CELLS["alif"](UNITS, tau_m=13.0)
    object.__setattr__(cell, "tau_m", 2.0)
    assert max(deviations(cell)) <= EXACT
    assert max(deviations(dataclasses.replace(cell, tau_m=3.0))) <= EXACT
