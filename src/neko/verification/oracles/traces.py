"""Rules with eligibility traces against the dense recursion with the paths that each keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neko.cells.learnable import learnt
from neko.verification import dense
from neko.verification.cases import Case, on_host, relative_error
from neko.verification.oracles import ORACLES
from neko.verification.reference import by_autodiff, rate_penalty, unrolled


def against(case: Case, rule: Any, keep: dense.Keep, *, cells: Any = None, **options: Any) -> float:
    """The deviation of a rule from the dense recursion; the readout's gradient is that of automatic differentiation."""
    found = on_host(case.xp, rule.gradients(*case.data)[1])
    feedback = [v for _, v in sorted(on_host(case.xp, rule.feedback).items())] or None
    recorded = dense.record(case, cells)
    expected = dense.influence_gradients(case, recorded, keep, across=False, feedback=feedback, **options)
    return compared(case, found, expected)


def compared(case: Case, found: Any, hidden: Any) -> float:
    """The deviation of gradients from expected hidden ones and the exact ones of the readout."""
    _, exact = by_autodiff(case.xp, case.evaluator, case.evaluator.network.cells, *case.data)
    readout = {name: g for name, g in on_host(case.xp, exact).items() if name.startswith("readout")}
    expected = {**hidden, **readout}
    return relative_error(case.xp, {name: found[name] for name in expected}, expected)


def without_reset(case: Case) -> list[Any]:
    return [cell.without_reset() for cell in case.evaluator.network.cells]


@ORACLES.register("own paths")
def own_paths(case: Case, rule: Any) -> float:
    """Each neuron's own step, without recurrent weights."""
    return against(case, rule, lambda layer: layer.local)


@ORACLES.register("own neuron")
def own_neuron(case: Case, rule: Any) -> float:
    """All paths, and the influence of a weight on its own neuron kept."""

    def mask(i: int, m: int) -> np.ndarray:
        cell = case.evaluator.network.cells[m]
        if i != m:  # the layers above pass credit within a step
            return np.ones((1, cell.n_currents + len(learnt(cell)), cell.units))
        fields = sum(a is not None for a in cell.initial_state(case.xp, 1))
        own = np.tile(np.eye(cell.units), (fields, 1))
        return np.broadcast_to(own[:, None], (fields * cell.units, cell.n_currents + len(learnt(cell)), cell.units))

    return against(case, rule, dense.exact, mask=mask)


@ORACLES.register("leak only")
def leak_only(case: Case, rule: Any) -> float:
    """The decay of each state variable by itself, and the emission as a function of all."""
    return against(case, rule, restricted(lambda i, j, last: i in (j, last)), cells=without_reset(case))


@ORACLES.register("present step")
def present_step(case: Case, rule: Any) -> float:
    """No influence of the step before, and no filter of the readout."""
    return against(case, rule, restricted(lambda i, j, last: False), filtered=False)


def restricted(kept: Callable[[int, int, int], bool]) -> dense.Keep:
    """The Jacobian of each neuron's own step, of which the entries (field, field before) are kept where `kept` says."""

    def keep(layer: dense.DenseLayer) -> np.ndarray:
        n = layer.z.shape[-1]
        fields = layer.local.shape[-1] // n
        blocks = [[float(kept(i, j, fields - 1)) for j in range(fields)] for i in range(fields)]
        return layer.local * np.kron(np.array(blocks), np.ones((n, n)))

    return keep


@ORACLES.register("presynaptic trace")
def presynaptic_trace(case: Case, rule: Any) -> float:
    """OTTT by its definition: a trace of each presynaptic neuron, and the gradient of the present step."""
    found = on_host(case.xp, rule.gradients(*case.data)[1])
    network, recorded = case.evaluator.network, dense.record(case)
    feedback = [v for _, v in sorted(on_host(case.xp, rule.feedback).items())]
    signal = recorded.error @ on_host(case.xp, case.evaluator.params)["readout.w_out"].T * network.readout.gain
    expected: dict[str, np.ndarray] = {}
    for m in reversed(range(len(network.cells))):
        cell, layer = network.cells[m], recorded.layers[m]
        signal = network.readout.gain * recorded.error @ feedback[m] if feedback else signal
        slope = np.einsum("tbnn->tbn", layer.current[:, :, -cell.units :])
        trace, total = np.zeros_like(layer.pre[0][0]), np.zeros(())
        for t, pre in enumerate(layer.pre[0]):
            trace = cell.response_decay * trace + pre
            total = total + trace.T @ (slope[t] * (signal[t] + recorded.rate[m][t]))
        expected |= dense.named(cell, m, [total])
        signal = np.einsum("tbz,tbzx->tbx", signal, layer.below[:, :, -cell.units :])
    return compared(case, found, expected)


@ORACLES.register("local loss")
def local_loss(case: Case, rule: Any) -> float:
    """DECOLLE by automatic differentiation of the loss of each layer's own readout, with states detached."""
    xp, evaluator = case.xp, case.evaluator
    found = rule.gradients(*case.data)[1]
    readouts = [xp.matrix_transpose(rule.feedback[f"feedback.{i}"]) for i in range(len(evaluator.network.cells))]
    batch = evaluator.batch(*(xp.asarray(a) for a in case.data))
    options: dict[str, Any] = {
        "kappa": evaluator.network.readout.kappa,
        "gain": 0.0,
        "cut_recurrent": True,
        "cut_upward": True,
    }

    def loss(params: Any) -> Any:
        _, emissions = unrolled(xp, without_reset(case), params, batch.x, **options)
        layers = zip(emissions, readouts, strict=True)
        local = [evaluator.objective.value(xp, xp.stack(zs, axis=0) @ readout, batch) for zs, readout in layers]
        return sum(local) + rate_penalty(xp, evaluator, emissions, batch)

    hidden = on_host(xp, xp.value_and_grad(loss)(evaluator.params)[1])
    expected = {name: g for name, g in hidden.items() if not name.startswith("readout")}
    return compared(case, on_host(xp, found), expected)
