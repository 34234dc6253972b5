"""RTRL and the rules that keep a part of the influence: identities with their controls, bounds, chunks and streams."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

import neko
from neko import rules, tree
from neko.cells import ALIF, GRU, LIF, LSTM, RNN, Dendritic, Learnable
from neko.rules.influence import InfluenceRule
from neko.verification import ORACLES
from neko.verification.cases import Case, gradients, max_relative_error
from neko.verification.dense import influence_gradients, record

from oracle import assert_live, assert_moves

BATCH, TIME, N_IN, OUT = 3, 13, 3, 2
EXACT = 1e-10
RANKS = {f"sketched {r}": functools.partial(rules.SketchedRTRL, rank=r) for r in (0, 2, 100)}
FAMILY = {
    "rtrl": rules.RTRL,
    "ostl": rules.OSTL,
    "snap 1": rules.SnAp,
    "snap 2": functools.partial(rules.SnAp, level=2),
    "kf_rtrl": rules.KFRTRL,
    "uoro": rules.UORO,
    **RANKS,
}
STACKS = {
    "rnn": lambda: [RNN(4)],
    "gru": lambda: [GRU(3)],
    "lstm": lambda: [LSTM(3)],
    "alif": lambda: [ALIF(5, v_th=0.3, t_ref=2.0, tau_m=Learnable(20.0), beta=Learnable(0.2, per_neuron=True))],
    "dendritic": lambda: [Dendritic(5, v_th=0.8)],
    "spiking stack": lambda: [LIF(5, v_th=0.3, reset="zero"), ALIF(4, v_th=0.1, tau_m=20.0)],
    "mixed stack": lambda: [ALIF(4, v_th=0.3), RNN(4)],
}
SINGLE = [name for name in STACKS if "stack" not in name]


def case_of(xp, stack, tau_out=7.0, time=TIME, change=None, **options):
    """A network that is alive, with data and its gradient by BPTT; `change` edits its parameters."""
    model = neko.Model(STACKS[stack]() if isinstance(stack, str) else stack, OUT, xp, tau_out=tau_out, seed=3)
    model.build(N_IN)
    if change is not None:
        model.params |= change(model.params)
    options = {"regularizer": neko.FiringRate(target=50.0, strength=3.0)} | options
    evaluator = neko.Evaluator(model, loss="mse", **options)
    rng = np.random.default_rng(1)
    x, y = 1.5 * rng.standard_normal((BATCH, time, N_IN)), rng.standard_normal((BATCH, time, OUT))
    mask = np.ones((BATCH, time))
    mask[1, 9:] = 0.0
    bptt = gradients(learning(rules.BPTT, evaluator), (x, y, mask))
    if time > 1:
        assert_live(evaluator, x, bptt, xp)
    return Case(xp, evaluator, x, y, mask, bptt)


def learning(rule, evaluator, **options):
    """A learning rule that changes nothing."""
    return neko.LearningRule(rule(evaluator), "sgd", learning_rate=0.0, jit=evaluator.xp.name == "jax", **options)


def found(case, rule, **options):
    return gradients(learning(rule, case.evaluator, **options), case.data)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", STACKS)
def test_the_full_influence_is_bptt(xp, stack):
    case = case_of(xp, stack)
    assert max_relative_error(found(case, rules.RTRL), case.bptt) < EXACT


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", STACKS)
def test_ostl_and_the_full_sketch_are_exact_within_a_layer(xp, stack):
    """Of one layer they are BPTT; of two they are BPTT without the past of the upper layer, and not BPTT."""
    case = case_of(xp, stack)
    for rule in (rules.OSTL, RANKS["sketched 100"], functools.partial(rules.SnAp, level=9)):
        assert ORACLES["layer-local autodiff"](case, learning(rule, case.evaluator)) < EXACT
        error = max_relative_error(found(case, rule), case.bptt)
        assert error < EXACT if stack in SINGLE else error > 1e-3


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", STACKS)
def test_the_sketch_of_rank_zero_is_snap_1(xp, stack):
    case = case_of(xp, stack)
    snap = found(case, rules.SnAp)
    assert max_relative_error(found(case, RANKS["sketched 0"]), snap) < EXACT
    for rule in ("sketched 2", "ostl"):
        assert_moves(found(case, FAMILY[rule]), snap)
    assert_moves(snap, case.bptt)


@pytest.mark.quick("torch")
def test_snap_is_rtrl_once_a_weight_reaches_every_neuron(xp):
    """In a ring of six the last neuron is reached after six steps; each level less is another gradient."""
    n = 6
    turn = np.roll(np.eye(n), 1, axis=1)
    case = case_of(xp, [RNN(n)], change=lambda params: {"layers.0.w_rec": xp.asarray(0.8 * turn)})
    by_level = [found(case, functools.partial(rules.SnAp, level=level)) for level in range(1, n + 2)]
    for level in (n, n + 1):
        assert max_relative_error(by_level[level - 1], found(case, rules.RTRL)) < EXACT
    for lower, higher in itertools.pairwise(by_level[:n]):
        assert_moves(lower, higher, 1e-4)
    dense = record(case)
    for level, snap in enumerate(by_level[:n], start=1):
        near = sum(np.linalg.matrix_power(turn, hops) for hops in range(level)) > 0.0
        mask = near.T[:, None]  # (states, currents, neurons that the weights lead to)
        expected = influence_gradients(case, dense, across=False, mask=lambda i, m, mask=mask: mask)
        assert max_relative_error({name: snap[name] for name in expected}, expected) < EXACT


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", SINGLE)
def test_without_recurrent_weights_every_truncation_is_bptt(xp, stack):
    def cut(params):
        return {"layers.0.w_rec": params["layers.0.w_rec"] * 0.0}

    alone, connected = case_of(xp, stack, change=cut), case_of(xp, stack)
    for rule in ("snap 1", "snap 2", "sketched 0", "sketched 2"):
        assert max_relative_error(found(alone, FAMILY[rule]), alone.bptt) < EXACT
    for rule in ("snap 1", "sketched 0", "sketched 2"):
        assert_moves(found(connected, FAMILY[rule]), connected.bptt)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", STACKS)
def test_every_rule_is_bptt_for_a_single_step_and_not_for_several(xp, stack):
    """Of UORO this holds for the mean alone: one draw has other neurons' weights in its product from the first step.

    A rate penalty of a layer is no credit of the layers below in rules of one layer at a time, as in e-prop.
    """
    single, several = (case_of(xp, stack, time=time, regularizer=None) for time in (1, TIME))
    for name, rule in FAMILY.items():
        error = max_relative_error(found(single, rule), single.bptt)
        assert error > 1e-3 if name == "uoro" else error < EXACT
        exact = ["rtrl"] if "stack" in stack else ["rtrl", "ostl", "sketched 100", "snap 2"]
        if name not in exact:
            assert_moves(found(several, rule), several.bptt)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", ["gru", "dendritic", "spiking stack", "mixed stack"])
@pytest.mark.parametrize("rule", ["kf_rtrl", "uoro"])
def test_stochastic_rules_are_their_recursions_in_dense_arrays(xp, stack, rule):
    case = case_of(xp, stack)
    oracle = {"uoro": "dense uoro", "kf_rtrl": "dense kf-rtrl"}[rule]
    for seed in (0, 5):
        made = learning(functools.partial(FAMILY[rule], seed=seed), case.evaluator)
        assert ORACLES[oracle](case, made) < EXACT
    one, other = (found(case, functools.partial(FAMILY[rule], seed=seed)) for seed in (0, 5))
    assert_moves(one, other)


@pytest.mark.quick("torch")
@pytest.mark.parametrize(
    "cell", [RNN(6), GRU(6), LSTM(4), Dendritic(5, v_th=0.8)], ids=["rnn", "gru", "lstm", "dendritic"]
)
def test_a_sketch_is_the_same_reductions_of_dense_matrices(xp, cell):
    """Where something is left out: with both reductions, with the second alone, and with rank 0."""
    case = case_of(xp, [cell])
    for rank in (0, 1, 3, 5):
        made = learning(functools.partial(rules.SketchedRTRL, rank=rank), case.evaluator)
        assert ORACLES["dense sketch"](case, made) < EXACT
        assert_moves(found(case, functools.partial(rules.SketchedRTRL, rank=rank)), case.bptt, 1e-5)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("stack", ["rnn", "spiking stack"])
@pytest.mark.parametrize("tau_out", [7.0, None])
@pytest.mark.parametrize("rule", FAMILY)
def test_pieces_are_the_whole_sequence(xp, stack, tau_out, rule):
    case = case_of(xp, stack, tau_out=tau_out)
    whole = found(case, FAMILY[rule])
    for chunk in (1, 5, TIME):
        assert max_relative_error(found(case, FAMILY[rule], chunk=chunk), whole) < EXACT


@pytest.mark.quick("torch")
@pytest.mark.parametrize("rule", FAMILY)
def test_a_stream_is_the_whole_sequence_and_its_memory_does_not_grow(xp, rule):
    """One step at a time, each from the carry of the last; errors of a sum over steps do not depend on the pieces."""
    case = case_of(xp, "spiking stack", reduction="sum", regularizer=None)
    made = FAMILY[rule](case.evaluator)
    with xp.scope():
        arrays = [xp.asarray(a) for a in case.data]
        whole = made.differentiate(case.evaluator.params, {}, case.evaluator.batch(*arrays), None)
        carry, total, sizes = made.initial_carry(BATCH), None, []
        for t in range(TIME):
            batch = case.evaluator.batch(*(a[:, t : t + 1] for a in arrays))
            piece = made.differentiate(case.evaluator.params, {}, batch, carry)
            carry, now = piece.carry, {name: np.asarray(xp.to_numpy(g)) for name, g in piece.gradients.items()}
            total = now if total is None else {name: total[name] + g for name, g in now.items()}
            sizes.append(sum(int(np.prod(tuple(a.shape))) for a in tree.leaves(carry)))
        expected = {name: np.asarray(xp.to_numpy(g)) for name, g in whole.gradients.items()}
    assert max_relative_error(total, expected) < EXACT
    assert len(set(sizes)) == 1


@pytest.mark.parametrize("rule", ["kf_rtrl", "uoro"])
def test_every_update_has_new_noise_and_can_be_repeated(rule):
    case = case_of(neko.backend.get("torch", dtype="float64"), "rnn")
    made = learning(FAMILY[rule], case.evaluator)
    first = gradients(made, case.data)
    assert max_relative_error(gradients(made, case.data), first) == 0.0
    made.step(*case.data)
    second = gradients(made, case.data)
    assert_moves(second, first)
    again = learning(FAMILY[rule], case.evaluator)
    again.step(*case.data)
    assert max_relative_error(gradients(again, case.data), second) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["kf_rtrl", "uoro", "sketched 2", "snap 2"])
def test_online_updates_are_equal_on_every_backend(xp, rule):
    """Compiled where the backend compiles, with the same noise."""
    found = {}
    for backend in {"torch": neko.backend.get("torch", dtype="float64"), xp.name: xp}.values():
        case = case_of(backend, "alif")
        made = neko.LearningRule(FAMILY[rule](case.evaluator), "sgd", learning_rate=0.05, chunk=4, online=True)
        start = {name: np.asarray(backend.to_numpy(p)) for name, p in case.evaluator.params.items()}
        made.step(*case.data)
        found[backend.name] = {name: np.asarray(backend.to_numpy(p)) for name, p in case.evaluator.params.items()}
    assert_moves(found["torch"], start)
    assert max_relative_error(found[xp.name], found["torch"]) < EXACT


def along(rule, case):
    """The memory of an influence rule after each step, of its first layer."""
    xp, made = case.xp, rule(case.evaluator)
    with xp.scope():
        arrays, carry = [xp.asarray(a) for a in case.data], made.initial_carry(BATCH)
        for t in range(TIME):
            batch = case.evaluator.batch(*(a[:, t : t + 1] for a in arrays))
            carry = made.differentiate(case.evaluator.params, {}, batch, carry).carry
            yield carry.memory[0]


def exact_matrix(xp, influence):
    """M (batch, states, weights) of one layer."""
    blocks = [np.concatenate([xp.to_numpy(f) for f in tangent[0]], axis=3) for tangent in influence[0]]
    whole = np.concatenate(blocks, axis=1)  # (batch, n_pre, n, states)
    return np.moveaxis(whole, 3, 1).reshape(BATCH, whole.shape[3], -1)


def sketched_matrix(xp, sketch):
    """S + L R^T (batch, states, weights)."""
    own = []
    for i in range(len(sketch.traces[0])):
        trace = np.concatenate([xp.to_numpy(traces[i]) for traces in sketch.traces], axis=1)
        own.append(np.einsum("bpn,mn->bmpn", trace, np.eye(trace.shape[2])))
    found = np.concatenate(own, axis=1)
    rest = xp.to_numpy(sketch.left) @ np.swapaxes(xp.to_numpy(sketch.right), 1, 2)
    return found.reshape(rest.shape) + rest


@pytest.mark.quick("torch")
@pytest.mark.parametrize("cell", [RNN(5), GRU(5), LSTM(3, forget_bias=-1.0)], ids=["rnn", "gru", "lstm"])
def test_the_sketchs_bound_holds_at_every_step_and_says_something(xp, cell):
    """On a contracting network; the bound falls with the rank, and lies below the size of the influence."""

    def small(params):
        return {"layers.0.w_rec": 0.4 * params["layers.0.w_rec"]}

    case = case_of(xp, [cell], regularizer=None, change=small)
    exact = [exact_matrix(xp, memory) for memory in along(rules.OSTL, case)]
    bounds = {}
    for rank in (0, 1, 2, 4):
        bounds[rank] = []
        for m, sketch in zip(exact, along(functools.partial(rules.SketchedRTRL, rank=rank), case), strict=True):
            error = np.linalg.norm(m - sketched_matrix(xp, sketch), axis=(1, 2))
            bound = xp.to_numpy(sketch.error)
            assert (error <= bound + 1e-12).all()
            assert (bound < np.linalg.norm(m, axis=(1, 2))).all()
            bounds[rank].append(bound)
            right = xp.to_numpy(sketch.right)
            gram = np.swapaxes(right, 1, 2) @ right
            sizes = np.diagonal(gram, axis1=1, axis2=2)
            np.testing.assert_allclose(gram, gram * np.eye(rank), atol=1e-12)  # orthonormal or zero
            np.testing.assert_allclose(sizes * (1.0 - sizes), 0.0, atol=1e-12)
    means = [np.mean(bounds[rank]) for rank in bounds]
    assert all(later < 0.9 * earlier for earlier, later in itertools.pairwise(means))
    assert means[0] > 1e-2


@pytest.mark.parametrize("stack", ["rnn", "spiking stack"])
def test_the_report_bounds_the_error_of_the_gradient(stack):
    """Also in chunks; without an error nothing is left out."""
    case = case_of(neko.backend.get("torch", dtype="float64"), stack)
    hidden = [name for name in case.bptt if name.startswith("layers")]
    exact = found(case, rules.OSTL)
    for rank in (0, 1, 3, 100):
        rule = functools.partial(rules.SketchedRTRL, rank=rank)
        sketch = found(case, rule)
        error = np.sqrt(sum(np.sum((sketch[name] - exact[name]) ** 2) for name in hidden))
        error /= np.sqrt(sum(np.sum(sketch[name] ** 2) for name in hidden))
        for options in ({}, {"chunk": 4}, {"chunk": 1}):
            report = learning(rule, case.evaluator, **options).step(*case.data)
            assert error <= report["gradient_error"] + 1e-12
            assert report["gradient_error"] < 1e-12 if rank == 100 else report["influence_error"] > 1e-3


def test_every_rule_of_the_family_is_tried_here():
    tried = {rule.func if isinstance(rule, functools.partial) else rule for rule in FAMILY.values()}
    assert {rule for rule in rules.RULES.values() if issubclass(rule, InfluenceRule)} <= tried
