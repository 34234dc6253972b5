"""A network of a cell with data for which it is active, and comparisons of its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neko import backend as registry
from neko.backend.generated import plain
from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.evaluator import Evaluator
from neko.objective import FiringRate
from neko.training.pairs import BPTT, Eprop
from neko.verification import form
from neko.verification.form import BrokenError
from neko.verification.runner import ExemptError

N_IN, UNITS, OUTPUTS, TIME = 4, 6, 2, 20
EXACT = 1e-9
"""Largest relative deviation between two computations of one number in double precision."""
Gradients = dict[str, np.ndarray]


class Case(NamedTuple):
    """A network of the cell with data for which it is active, and its gradient by BPTT."""

    xp: Backend
    evaluator: Evaluator
    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    bptt: Gradients

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The arguments of a rule: inputs, targets and mask."""
        return self.x, self.y, self.mask


def chosen(backends: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the backends, by default all that are installed; ValueError where they are no list of names."""
    found = (registry.installed() or (registry.default(),)) if backends is None else tuple(backends)
    if not found or isinstance(backends, str):
        raise ValueError(f"backends={backends!r}: expected names of {registry.available()!r}")
    return found


def made_cell(cell: Any) -> Cell:
    """A cell, of a class with `UNITS` neurons; TypeError for anything else."""
    made = cell(UNITS) if isinstance(cell, type) and issubclass(cell, Cell) else cell
    if not isinstance(made, Cell):
        raise TypeError(f"cell={cell!r}: expected a neko.cells.Cell or a subclass of it")
    return made


def build_case(xp: Backend, cell: Any, scale: float, seed: int) -> Case:
    """A case whose data have a mask and whose loss has a firing-rate penalty, so that every check includes these."""
    rng = np.random.default_rng(seed)
    regularizer = FiringRate(target=50.0, strength=3.0)
    evaluator = Evaluator(form.network(xp, cell, N_IN, OUTPUTS, seed), loss="mse", regularizer=regularizer)
    x = scale * rng.standard_normal((form.BATCH, TIME, N_IN))
    y = rng.standard_normal((form.BATCH, TIME, OUTPUTS))
    mask = np.ones((form.BATCH, TIME))
    mask[1, 2 * TIME // 3 :] = 0.0
    bptt = gradients(made(BPTT, evaluator), (x, y, mask))
    return Case(xp, evaluator, x, y, mask, bptt)


def made(rule: Any, evaluator: Evaluator, **options: Any) -> Any:
    """A rule for a few batches; compiled on JAX only, since on TensorFlow compilation takes longer than it saves."""
    return rule(evaluator, jit=evaluator.xp.name == "jax", **options)


def gradients(rule: Any, data: Any) -> Gradients:
    """A rule's gradient as NumPy arrays."""
    return on_host(rule.xp, rule.gradients(*data)[1])


def on_host(xp: Backend, arrays: dict[str, Any]) -> Gradients:
    """A backend's arrays as NumPy's."""
    return {name: np.asarray(xp.to_numpy(a)) for name, a in arrays.items()}


def max_relative_error(found: Gradients, expected: Gradients) -> float:
    """Largest deviation over all arrays, each relative to its largest expected entry.

    BrokenError for values that are not finite, or for other names or shapes than expected.
    """
    if found.keys() != expected.keys():
        raise BrokenError(f"gradients of {sorted(found)}: expected those of {sorted(expected)}")
    errors = [0.0]
    for name, reference in expected.items():
        a, b = np.asarray(found[name]), np.asarray(reference)
        if a.shape != b.shape:
            raise BrokenError(f"{name} has shape {a.shape}: expected {b.shape}")
        # NaN is lost in a maximum, so it is checked first.
        if not np.isfinite(a).all() or not np.isfinite(b).all():
            raise BrokenError(f"the gradient of {name} is not finite")
        errors.append(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)))
    return max(errors)


def relative_error(xp: Backend, found: dict[str, Any], expected: dict[str, Any]) -> float:
    return max_relative_error(on_host(xp, found), on_host(xp, expected))


def surrogate(case: Case) -> float:
    """The largest entry of each gradient, of which the smallest; BrokenError if it is zero."""
    largest = {name: float(np.abs(g).max()) for name, g in case.bptt.items()}
    for name, value in largest.items():
        if not np.isfinite(value):
            raise BrokenError(
                f"the gradient of {name} is {value}: look for a derivative that is infinite, as of sqrt at 0"
            )
    dead = [name for name, value in largest.items() if value == 0.0]
    if dead:
        raise BrokenError(
            f"{', '.join(dead)} get no gradient: the emission does not depend on the currents differentiably; emit "
            "surrogate(xp, u) in place of a bare threshold, and detach less"
        )
    return min(largest.values())


def forms(case: Case) -> float:
    """e-prop in chunks, and step by step, against e-prop of the whole sequence."""
    whole = gradients(made(Eprop, case.evaluator), case.data)
    chunked = made(Eprop, case.evaluator, chunk=6)
    chunked.gradient.least = 0
    pieces = gradients(chunked, case.data)
    steps = gradients(made(Eprop, case.evaluator, stepwise=True), case.data)
    return max(max_relative_error(pieces, whole), max_relative_error(steps, whole))


def kernels(case: Case) -> float:
    """BPTT and e-prop by generated kernels against the same by the framework's operations, exempt without kernels."""
    reasons = {offer.reason for offer in case.evaluator.model.kernels if not offer.generated}
    if reasons:
        raise ExemptError(f"none, {'; '.join(sorted(reasons))}")
    rules = [made(rule, case.evaluator) for rule in (BPTT, Eprop)]
    with plain():
        expected = [gradients(rule, case.data) for rule in rules]
    pairs = zip((gradients(rule, case.data) for rule in rules), expected, strict=True)
    return max(max_relative_error(found, e) for found, e in pairs)


def outputs(case: Case) -> Gradients:
    """The network's outputs, for a comparison between backends."""
    return {"outputs": np.asarray(case.evaluator.model.predict(case.x))}
