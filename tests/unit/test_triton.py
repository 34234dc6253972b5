"""Persistent Triton kernels: their text everywhere, their numbers in Triton's interpreter, their compilation for CUDA.

A process in which Triton interprets cannot compile: ``TRITON_INTERPRET=1`` chooses which of the two kinds of test runs.
Neither needs a GPU; without Triton only the text is looked at.
"""

from __future__ import annotations

import ast
import importlib.util
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from neko import backend, tree
from neko.cells import CELLS, Cell
from neko.models.layer import LayerTrace, Scanned, Weights
from neko.rules.jacobian import step_jacobians

pytest.importorskip("numba")
torch = pytest.importorskip("torch")

from neko.kernels import persistent, triton  # noqa: E402
from neko.kernels.layer import Drive  # noqa: E402
from neko.kernels.plan import Plan  # noqa: E402
from neko.kernels.trace import FOLDED, Untraceable, trace  # noqa: E402

INTERPRETS = os.environ.get("TRITON_INTERPRET") == "1"
INSTALLED = importlib.util.find_spec("triton") is not None
interpreted = pytest.mark.skipif(not (INSTALLED and INTERPRETS), reason="needs Triton and TRITON_INTERPRET=1")
compiled = pytest.mark.skipif(not INSTALLED or INTERPRETS, reason="needs Triton without TRITON_INTERPRET=1")

UNITS, N_IN, TIME, BATCH = 19, 4, 6, 3  # more neurons than are read at once
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
CASES = [
    ("lif", {}),
    ("lif", {"recurrent": False, "reset": "zero"}),
    ("alif", {"t_ref": 2.0, "beta": tuple(np.linspace(0.1, 0.3, UNITS).tolist())}),
    ("gru", {}),
]


class State(NamedTuple):
    v: Any
    z: Any


@dataclass(frozen=True, eq=False)
class Applied(Cell):
    """Applies an operation to two currents; its other field is the same number for all neurons."""

    State = State
    operation: str = "exp"
    input_currents = (0, 1)
    recurrent_currents = ()

    def dynamics(self, xp: Any, state: State, a: Any, b: Any) -> State:
        conditions = {
            **{name: (lambda name=name: FOLDED[name](a, b)) for name in ("gt", "ge", "lt", "le", "eq", "ne")},
            "and": lambda: (a > 0.0) & (b > 0.0),
            "or": lambda: (a > 0.0) | (b > 0.0),
            "not": lambda: xp.logical_not(a > b),
            "isfinite": lambda: xp.isfinite(a),
            "where": lambda: a > b,
        }
        if self.operation in conditions:
            return State(0.5, xp.where(conditions[self.operation](), a, b))
        count = 2 if self.operation in ("add", "sub", "mul", "div", "pow", "maximum", "minimum") else 1
        operator = {name: FOLDED[name] for name in ("add", "sub", "mul", "div", "neg", "pow")}
        apply = operator.get(self.operation) or getattr(xp, self.operation.replace("stop", "stop_gradient"))
        return State(0.5, apply(*(a, b)[:count]))


def plan_of(cell: Cell, dtype: str = "float32") -> Plan:
    used = tuple(field is not None for field in cell.initial_state(backend.get("torch"), 1))
    return Plan(trace(cell, dtype, used), cell)


def slope(plan: Plan) -> tuple[int, int]:
    """The entry of the Jacobian that is the derivative of the emission by a current."""
    return len(plan.rows) - 1, len(plan.rows) + min(plan.inputs)


@pytest.mark.parametrize("name", list(CELLS))
def test_every_cell_has_a_text_that_other_constants_leave_as_it_is(name: str) -> None:
    texts = [
        [persistent.forward(plan), persistent.backward(plan), persistent.entries(plan, (slope(plan),))]
        for plan in (plan_of(CELLS[name](UNITS)), plan_of(CELLS[name](UNITS + 30)))
    ]
    assert [t.text for t in texts[0]] == [t.text for t in texts[1]]
    for text in texts[0]:
        assert isinstance(ast.parse(text.text).body[-1], ast.FunctionDef)


def test_a_step_with_a_general_power_is_refused() -> None:
    with pytest.raises(Untraceable, match="pow"):
        persistent.forward(plan_of(Applied(UNITS, "pow")))


def test_without_triton_the_offer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "triton" else found(name))
    xp, cell = backend.get("torch"), CELLS["lif"](UNITS)
    assert triton.offer(xp, cell, cell.initial_state(xp, 1)).reason == "Triton is not installed"


def drawn(cell: Cell, dtype: str) -> tuple[Any, Weights, Any, Any]:
    """Backend, weights, inputs and a state in which neurons have spiked."""
    xp, rng, n = backend.get("torch", dtype=dtype), np.random.default_rng(1), cell.units
    k, r = len(cell.input_currents), len(cell.recurrent_currents)
    weights = Weights(
        xp.asarray(rng.normal(size=(N_IN, k * n))),
        xp.asarray(rng.normal(size=(n, r * n)) * 0.4) if r else None,
        xp.asarray(rng.normal(size=cell.n_currents * n) * 0.1) if cell.bias else None,
    )
    *fields, z = cell.initial_state(xp, BATCH)
    spikes = xp.asarray(1.0 * (rng.random(size=z.shape) < 0.3))
    state = cell.State(*(None if f is None else f + 0.1 for f in fields), spikes)
    return xp, weights, xp.asarray(rng.normal(size=(TIME, BATCH, N_IN))), state


def assert_close(found: Any, expected: Any, dtype: str) -> None:
    found, expected = tree.leaves(found), tree.leaves(expected)
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        assert float(torch.max(torch.abs(f - e))) <= TOLERANCE[dtype] * (1.0 + float(torch.max(torch.abs(e))))


@interpreted
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n} {' '.join(o)}" for n, o in CASES])
def test_values_and_credit_are_those_of_the_step(name: str, options: dict[str, Any], dtype: str) -> None:
    cell = CELLS[name](UNITS, **options)
    xp, weights, x, state = drawn(cell, dtype)
    layer = triton.offer(xp, cell, state).layer
    assert layer.agrees(weights, x, state), triton.offer(xp, cell, state).reason
    last, emitted, z, steps = Scanned(xp.forward_only(), cell).record(weights, x, state)
    *found, tape = layer.record(weights, x, state)
    assert_close(found, (last, emitted, z), dtype)
    assert float(abs(z).max()) > 0.0
    jacobians = step_jacobians(xp, cell, LayerTrace(x, emitted, z, steps))
    assert_close(
        tree.leaves(list(map(list, tape.all_steps()))), tree.leaves(list(map(list, jacobians.all_steps()))), dtype
    )
    rng, rows = np.random.default_rng(2), (2, BATCH, UNITS)
    signal = xp.asarray(rng.normal(size=(TIME, *rows)))
    end = tuple(xp.asarray(rng.normal(size=rows)) if alive else None for alive in tape.alive)
    assert_close(tape.adjoint(signal, end), jacobians.adjoint(signal, end), dtype)


@interpreted
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n} {' '.join(o)}" for n, o in CASES])
def test_gradients_through_time_are_those_of_autodiff(name: str, options: dict[str, Any], dtype: str) -> None:
    cell = CELLS[name](UNITS, **options)
    xp, weights, x, state = drawn(cell, dtype)
    differentiated = [a.requires_grad_() for a in (*weights, x, *state) if a is not None]
    gradients = []
    for form in (triton.offer(xp, cell, state).layer, Scanned(xp, cell)):
        last, z = form.unroll(weights, x, state)
        outputs = [f for f in (*last[:-1], z) if f is not None and f.requires_grad]
        weighting = [torch.cos(torch.arange(f.numel(), dtype=f.dtype)).reshape(f.shape) for f in outputs]
        found = torch.autograd.grad(outputs, differentiated, weighting, allow_unused=True)
        gradients.append([torch.zeros_like(a) if g is None else g for g, a in zip(found, differentiated, strict=True)])
    assert_close(*gradients, dtype)
    assert float(abs(gradients[1][0]).max()) > 0.0


NUMBERS = [1e-6, 0.3, 0.5, 0.6, 1.0, 9.0, 2e8, np.inf, -1e-6, -0.3, -0.6, -0.9, -9.0, -80.0, 0.0, np.nan]
DOMAINS = {
    **{name: [abs(v) for v in NUMBERS] for name in ("log", "sqrt")},
    "sign": [v for v in NUMBERS if not np.isnan(v)] + [1.0],  # of NaN, frameworks do not agree
    "log1p": [max(v, -1.0) for v in NUMBERS[:-1]] + [np.nan],
    **{name: [v if abs(v) < 10.0 else 0.7 for v in NUMBERS] for name in ("sin", "cos", "tan")},
}


@interpreted
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("operation", sorted({*FOLDED} - {"pow"}))
def test_operations_are_the_frameworks(operation: str, dtype: str) -> None:
    cell, xp = Applied(len(NUMBERS), operation), backend.get("torch", dtype=dtype)
    a, b = (xp.asarray(v)[None] for v in (DOMAINS.get(operation, NUMBERS), np.roll(NUMBERS, 3)))
    state = cell.State(xp.zeros_like(a), xp.zeros_like(a))
    kernels = triton.offer(xp, cell, state).layer.kernels
    drive = Drive(torch.cat([a, b], dim=1)[None], a[0][:, None][:, :0], a[0][:0])
    with np.errstate(all="ignore"):  # the interpreter computes with NumPy, which warns of infinities
        run = kernels.forward(drive, list(state), record=False)
    rounding = {"rtol": 3e-6 if dtype == "float32" else 1e-14, "atol": 0.0}
    torch.testing.assert_close(run.z[1], cell.dynamics(xp, state, a, b).z, equal_nan=True, **rounding)
    assert torch.equal(run.last[0], 0.5 + 0.0 * run.last[0])


@dataclass(frozen=True, eq=False)
class Mistaken(Cell):
    """Takes another branch on symbols than on arrays."""

    State = State

    def dynamics(self, xp: Any, state: State, current: Any) -> State:
        v = (0.9 if isinstance(state.v, torch.Tensor) else 0.8) * state.v + current
        return State(v, xp.tanh(v))


@interpreted
def test_live_data_show_that_a_trace_took_another_branch() -> None:
    cell = Mistaken(UNITS)
    xp, weights, x, state = drawn(cell, "float32")
    assert not triton.offer(xp, cell, state).layer.agrees(weights, x, state)
    assert "differ" in triton.offer(xp, cell, state).reason


@compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n} {' '.join(o)}" for n, o in CASES])
def test_kernels_compile_for_cuda(
    name: str, options: dict[str, Any], dtype: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from triton import compile as ahead_of_time
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    plan = plan_of(CELLS[name](UNITS, **options), dtype)
    pointer, sizes = f"*fp{dtype[-2:]}", ("steps", "rows", "batch", "n")
    for text, flags in (
        (persistent.forward(plan), {"RECORD": True}),
        (persistent.backward(plan), {"RECURRENT": True}),
        (persistent.backward(plan), {"RECURRENT": False}),
        (persistent.entries(plan, (slope(plan),)), {}),
    ):
        kernel, constants = persistent.compiled(text.text), {"N": 32, "BLOCK": 16, **flags}
        kinds = {a: "constexpr" if a in constants else "i32" if a in sizes else pointer for a in kernel.arg_names}
        found = ahead_of_time(ASTSource(kernel, kinds, constants), target=GPUTarget("cuda", 80, 32))
        assert len(found.asm["cubin"]) > 0
        # What other threads have written is read after a barrier, which the interpreter does not need.
        assert ("bar.sync" in found.asm["ptx"]) == bool(flags)
