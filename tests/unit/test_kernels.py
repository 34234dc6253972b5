"""The parts of generated kernels: traces, refusals, the comparison with live data, polynomials, memory that is kept."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import neko
from neko import backend, tree
from neko.cells import Cell

pytest.importorskip("numba")
torch = pytest.importorskip("torch")


class State(NamedTuple):
    v: Any
    z: Any


@dataclass(frozen=True, eq=False)
class Leaky(Cell):
    """A leaky integrator, of which a test replaces the step."""

    State = State

    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        v = 0.9 * state.v + current
        return State(v, xp.tanh(v))


def offered(cell: Cell, framework: str = "torch") -> Any:
    xp = backend.get(framework)
    return xp.kernels(cell, cell.initial_state(xp, 2))


class Positions(Leaky):
    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        return State(xp.flip(state.v, axis=1), xp.tanh(current))


class Branches(Leaky):
    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        return State(state.v, current if current > 0.0 else -current)


class Methods(Leaky):
    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        return State(state.v.clamp(0.0), current)


class Neighbours(Leaky):
    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        return State(state.v[:, ::-1], current)


class Foreign(Leaky):
    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        return State(state.v, torch.sigmoid(current))


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (Positions, "xp.flip"),
        (Branches, "the truth of a value"),
        (Methods, r"\.clamp"),
        (Neighbours, "a part of a value"),
        (Foreign, "sigmoid"),
    ],
)
def test_a_step_that_is_no_graph_of_element_wise_operations_is_refused_by_name(cell: Any, reason: str) -> None:
    found = offered(cell(4))
    assert found.layer is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)


@pytest.mark.parametrize(
    ("cell", "reason"), [(Branches, "the truth of a value"), (neko.cells.GRU, "a dense recurrent product")]
)
def test_what_has_no_kernels_on_jax_says_why(cell: Any, reason: str) -> None:
    pytest.importorskip("jax")
    assert reason in offered(cell(4), "jax").reason
    assert offered(neko.cells.LIF(4), "jax").generated


class Mistaken(Leaky):
    """Takes another branch on symbols than on arrays."""

    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        gain = 0.9 if isinstance(state.v, torch.Tensor) else 0.8
        v = gain * state.v + current
        return State(v, xp.tanh(v))


class MistakenSlope(Leaky):
    """Has other derivatives on symbols than on arrays."""

    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        v = 0.9 * state.v + current
        return State(v, xp.tanh(v if isinstance(v, torch.Tensor) else xp.stop_gradient(v)))


@pytest.mark.parametrize("cell", [Mistaken, MistakenSlope])
def test_live_data_show_that_a_trace_took_another_branch(cell: Any) -> None:
    x, y = np.random.default_rng(0).normal(size=(3, 9, 4)), np.eye(2)[[0, 1, 1]]
    found = []
    for kind in (cell, Leaky):
        model = neko.Evaluator(neko.Model(kind(5), 2, "torch"), loss="categorical_crossentropy")
        _, gradients = neko.Eprop(model).gradients(x, y)
        found.append({name: np.asarray(g) for name, g in gradients.items()})
        assert ("differ" in model.model.kernels[0].reason) == (kind is cell)
    for name, g in found[1].items():
        np.testing.assert_allclose(found[0][name], g, rtol=1e-5, atol=1e-7)
        assert np.abs(g).max() > 0.0


class Spiking(Leaky):
    """What it emits is given to its neighbours by events."""

    spiking = True


def test_a_trace_that_took_another_branch_is_found_before_a_program_runs() -> None:
    jax = pytest.importorskip("jax")

    class Branched(Spiking):
        def dynamics(self, xp: Any, state: State, current: Any) -> State:
            gain = 0.9 if isinstance(state.v, jax.Array) else 0.8
            v = gain * state.v + current
            return State(v, xp.tanh(v))

    x, y = np.random.default_rng(0).normal(size=(3, 9, 4)), np.eye(2)[[0, 1, 1]]
    found = []
    for kind in (Branched, Spiking):
        model = neko.Evaluator(neko.Model(kind(5), 2, "jax"), loss="categorical_crossentropy")
        _, gradients = neko.Eprop(model).gradients(x, y)
        found.append({name: np.asarray(g) for name, g in gradients.items()})
        assert ("differ" in model.model.kernels[0].reason) == (kind is Branched)
    for name, g in found[1].items():
        np.testing.assert_allclose(found[0][name], g, rtol=1e-5, atol=1e-7)
        assert np.abs(g).max() > 0.0


def test_a_model_says_which_layers_have_kernels() -> None:
    model = neko.Model([neko.cells.LIF(4), Branches(4)], 2, "torch")
    generated, refused = model.kernels
    assert generated.generated
    assert not generated.reason
    assert not refused.generated
    assert "the truth of a value" in refused.reason


def test_kernels_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neko.backend.generated.SWITCH", "off")
    assert "NEKO_KERNELS" in offered(Leaky(3)).reason


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_polynomials_are_within_two_units_in_the_last_place(name: str, dtype: str) -> None:
    from neko.kernels import numba

    form = f"def kernel(x, out):\n    for i in range(x.shape[0]):\n        out[i] = {name}(x[i])\n"
    kernel, rng = numba.compiled("\n" + form, np.dtype(dtype)), np.random.default_rng(0)
    largest = {"exp": {"float32": 87.0, "float64": 708.0}, "tanh": {"float32": 20.0, "float64": 20.0}}[name][dtype]
    x = np.concatenate(
        [rng.uniform(-largest, largest, 100_000), rng.uniform(-2.0, 2.0, 100_000), rng.normal(size=10_000) * 1e-3]
    ).astype(dtype)
    found = np.empty_like(x)
    kernel(x, found)
    expected = getattr(np, name)(x.astype(np.longdouble))
    unit = np.spacing(np.abs(expected).astype(dtype)).astype(np.longdouble)
    assert float(np.max(np.abs(found - expected) / unit)) <= 2.0
    special = np.array([np.nan, np.inf, -np.inf, 0.0, 1e5, -1e5], dtype)
    found = np.empty_like(special)
    kernel(special, found)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, getattr(np, name)(special))


def test_memory_is_used_again_only_when_nobody_has_it() -> None:
    from neko.kernels.buffers import Buffers

    buffers, size = Buffers(), (8, 16)
    first = buffers.empty(size, np.dtype("float32"))
    first[:] = 1.0
    place = first.ctypes.data
    tensor = torch.from_numpy(first)[2:]
    del first
    assert buffers.empty(size, np.dtype("float32")).ctypes.data != place
    assert float(tensor.min()) == 1.0
    del tensor
    assert buffers.empty(size, np.dtype("float32")).ctypes.data == place


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_sparse_product_is_the_dense_one(framework: str) -> None:
    pytest.importorskip(framework)
    xp, rng = backend.get(framework, dtype="float64"), np.random.default_rng(0)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)
    for share in (0.0, 0.05, 0.5, 1.0):
        pre, post = (rng.random((7, 3, 9)) < share) * rng.normal(size=(7, 3, 9)), rng.normal(size=(7, 3, 5))
        w = rng.normal(size=(9, 4))
        with xp.scope():
            outer, product = xp.outer_sum(*map(xp.asarray, (pre, post))), xp.project(*map(xp.asarray, (pre, w)))
        close(xp.to_numpy(outer), np.einsum("tbi,tbj->ij", pre, post))
        close(xp.to_numpy(product), pre @ w)


@pytest.mark.slow
def test_a_sparse_product_on_jax_has_derivatives_of_every_order() -> None:
    pytest.importorskip("jax")
    xp, rng = backend.get("jax", dtype="float64"), np.random.default_rng(0)
    a, b, w = (xp.asarray(rng.normal(size=shape)) for shape in ((5, 2, 3), (5, 2, 4), (3, 4)))
    sparse = xp.asarray(1.0 * (rng.random((5, 2, 3)) < 0.1))

    def value(products: Any, p: Any) -> Any:
        outer, project = products
        return xp.sum(xp.sin(outer(sparse * p[0], p[1]))) + xp.sum(xp.sin(project(sparse + p[0], p[2])))

    def slope(products: Any, p: Any) -> Any:
        _, found = xp.value_and_grad(functools.partial(value, products))(p)
        return sum(xp.sum(xp.square(g)) for g in found)

    dense = (lambda a, b: xp.einsum("tbi,tbj->ij", a, b), lambda a, w: a @ w)
    for f in (value, slope):
        expected, found = (
            (xp.value_and_grad(g)((a, b, w)), xp.jvp(g, ((a, b, w),), ((b[..., :3], b, w),)))
            for g in (functools.partial(f, products) for products in (dense, (xp.outer_sum, xp.project)))
        )
        for e, g in zip(tree.leaves(expected), tree.leaves(found), strict=True):
            np.testing.assert_allclose(xp.to_numpy(g), xp.to_numpy(e), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15, 0.6, 1.0])
def test_products_with_emissions_are_those_of_any_array(share: float) -> None:
    """Emissions keep where they are not zero; every share of them gives what the dense product gives."""
    from neko.kernels.torch import emissions

    xp, rng = backend.get("torch", dtype="float64"), np.random.default_rng(0)
    z = (rng.random((9, 3, 11)) < share) * 1.0
    w, post, weight = rng.normal(size=(11, 4)), rng.normal(size=(8, 3, 5)), rng.normal(size=(8, 3))
    for found, expected in zip(emissions(z), (z[:-1], z[1:]), strict=True):
        np.testing.assert_array_equal(found, expected)
        for result, reference in (
            (xp.outer_sum(found, xp.asarray(post)), np.einsum("tbi,tbj->ij", expected, post)),
            (xp.project(found, xp.asarray(w)), expected @ w),
            (xp.weighted_sum(found, xp.asarray(weight)), np.einsum("tb,tbi->bi", weight, expected)),
        ):
            np.testing.assert_allclose(result, reference, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_derivative_of_a_derivative_is_taken_without_kernels(framework: str) -> None:
    pytest.importorskip(framework)
    xp = backend.get(framework, dtype="float64")
    with xp.scope():
        check_second_derivative(xp)


def check_second_derivative(xp: Any) -> None:
    weights = {"w": xp.asarray(np.random.default_rng(0).normal(size=(2, 3)))}
    network = neko.Model(Spiking(3), 1, xp).network
    x, state = xp.asarray(np.ones((4, 1, 2))), network.initial_state(xp, 1)

    def value(p: Any) -> Any:
        params = {"layers.0.w_in": p["w"], "layers.0.w_rec": 0.1 * xp.ones((3, 3))}
        params |= {"readout.w_out": xp.ones((3, 1)), "readout.b_out": xp.zeros((1,))}
        return xp.sum(network.unroll(xp, params, x, state)[1])

    gradient = xp.jit(lambda p: xp.value_and_grad(value)(p)[1]["w"])

    def slope(p: Any) -> Any:
        return xp.sum(xp.square(gradient(p)))

    first = gradient(weights)  # compiled with kernels, before it is differentiated
    _, second = xp.value_and_grad(slope)(weights)
    step = 1e-6
    for i in range(2):
        direction = {"w": xp.asarray(np.eye(2)[:, [i]] * np.ones(3))}
        up, down = ({"w": weights["w"] + s * step * direction["w"]} for s in (1.0, -1.0))
        numeric = (float(slope(up)) - float(slope(down))) / (2.0 * step)
        assert float(xp.sum(second["w"][i])) == pytest.approx(numeric, rel=1e-5)
        _, forward = xp.jvp(value, (weights,), (direction,))
        assert float(forward) == pytest.approx(float(xp.sum(first[i])), rel=1e-12)
