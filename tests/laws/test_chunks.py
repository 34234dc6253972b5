"""e-prop in chunks, from the last to the first, is e-prop of the whole sequence: gradients, loss, metrics."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko import tree
from neko.models.readout import LeakyReadout
from neko.rules import reverse
from neko.rules.online import three_factor
from neko.verification.cases import gradients, made, max_relative_error

from oracle import assert_live, assert_moves

TIME, BATCH, N_IN, OUT = 23, 3, 4, 2
EXACT = 1e-12
STACKS = {
    "spiking": lambda: [
        neko.cells.ALIF(7, t_ref=3.0, beta=[0.0] * 3 + [0.4] * 4, v_th=0.4),
        neko.cells.LIF(6, t_ref=2.0, reset="zero", v_th=0.15, recurrent=False),
    ],
    "rates": lambda: [neko.cells.LSTM(5), neko.cells.GRU(4)],
    "mixed": lambda: [neko.cells.LIF(6), neko.cells.LSTM(5), neko.cells.ALIF(4, v_th=0.1)],
}
PER_STEP = {"regularizer": neko.FiringRate(target=50.0, strength=3.0)}
PER_SEQUENCE = {"regularizer": neko.FiringRate(target=50.0, strength=3.0, per_sequence=True), "reduction": "sum"}


@pytest.fixture(autouse=True)
def chunks_as_given(monkeypatch):
    """Small ones too."""
    monkeypatch.setattr(three_factor.ThreeFactor, "least", 0)


def case(xp, stack, tau_out=7.0, frames=True, **options):
    """An evaluator, inputs, class numbers (or one-hot targets at every step) and a mask with a chunk of padding."""
    model = neko.Model(STACKS[stack](), OUT, xp, tau_out=tau_out, seed=3).build(N_IN)
    metrics = ["accuracy", "firing_rate"] if any(cell.spiking for cell in model.cells) else ["accuracy"]
    evaluator = neko.Evaluator(model, loss="sparse_categorical_crossentropy", metrics=metrics, **options)
    rng = np.random.default_rng(0)
    x = 1.5 * rng.standard_normal((BATCH, TIME, N_IN))
    y = rng.integers(OUT, size=(BATCH, TIME) if frames else BATCH)
    mask = np.ones((BATCH, TIME))
    mask[1, 9:] = 0.0
    return evaluator, (x, y, mask)


def assert_equal_to_whole(evaluator, data, chunk, **options):
    options |= {"optimizer": "sgd", "learning_rate": 0.0}
    whole, pieces = (made(neko.Eprop, evaluator, **options, **form) for form in ({}, {"chunk": chunk}))
    expected = gradients(whole, data)
    assert_live(evaluator, data[0], expected, evaluator.xp)
    assert max_relative_error(gradients(pieces, data), expected) < EXACT
    assert pieces.step(*data) == pytest.approx(whole.step(*data), rel=1e-12)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("mode", ["symmetric", "random", "adaptive"])
@pytest.mark.parametrize("stack", STACKS)
def test_chunks_are_the_whole_sequence(xp, stack, mode):
    evaluator, data = case(xp, stack, **(PER_SEQUENCE if mode == "random" else PER_STEP))
    for chunk in (1, 5, 11, TIME - 1, TIME, TIME + 9):
        assert_equal_to_whole(evaluator, data, chunk, mode=mode)


@pytest.mark.quick("torch")
@pytest.mark.parametrize("tau_out", [7.0, None])
@pytest.mark.parametrize("target", ["every", "last"])
def test_chunks_of_a_target_for_the_sequence(xp, target, tau_out):
    evaluator, data = case(xp, "mixed", tau_out=tau_out, frames=False, target=target)
    for chunk in (4, TIME):
        assert_equal_to_whole(evaluator, data, chunk, mode="random")


@pytest.mark.quick("torch")
def test_chunks_on_every_backend(xp):
    """Compiled where the backend compiles."""
    evaluator, data = case(xp, "spiking", **PER_SEQUENCE)
    whole = gradients(made(neko.Eprop, evaluator), data)
    found = gradients(neko.Eprop(evaluator, chunk=5), data)
    assert max_relative_error(found, whole) < EXACT


@pytest.mark.quick("torch")
@pytest.mark.parametrize("cut", ["states", "readout"])
def test_credit_passes_from_chunk_to_chunk(xp, cut, monkeypatch):
    """The control: without the credit of later chunks, in either of its parts, the gradient is another."""
    evaluator, data = case(xp, "spiking")
    whole = gradients(made(neko.Eprop, evaluator), data)
    if cut == "states":
        blocks = reverse.layer_blocks
        monkeypatch.setattr(reverse, "layer_blocks", lambda *arguments: blocks(*arguments[:-1], None))
    else:
        credit = LeakyReadout.credit
        monkeypatch.setattr(LeakyReadout, "credit", lambda self, xp, error, later=None: credit(self, xp, error))
    assert_moves(gradients(made(neko.Eprop, evaluator, chunk=5), data), whole)


@pytest.mark.parametrize("run", ["advance", "record"])
@pytest.mark.parametrize("stack", STACKS)
def test_the_state_of_a_chunk_holds_no_other_steps(stack, run):
    """The state kept at the start of each chunk has its own memory; a view would keep all emissions of a chunk."""
    xp = neko.backend.get("torch", dtype="float64")
    evaluator, (x, y, mask) = case(xp, stack)
    batch = evaluator.batch(*(xp.asarray(a) for a in (x, y, mask)))
    network = evaluator.network
    state = getattr(network, run)(xp.forward_only(), evaluator.params, batch.x, network.initial_state(xp, BATCH))[0]
    kept = tree.leaves(state.layers)
    assert kept
    assert all(a.untyped_storage().nbytes() == a.nbytes for a in kept)


def test_chunks_of_few_numbers_are_joined_where_nothing_compiles(monkeypatch):
    evaluator, (x, y, mask) = case(neko.backend.get("torch"), "spiking")  # at most 7 neurons
    batch = evaluator.batch(*(evaluator.xp.asarray(a) for a in (x, y, mask)))
    rule = neko.rules.Eprop(evaluator)
    for least, length in [(0, 4), (4 * BATCH * 7, 4), (4 * BATCH * 7 + 1, 8), (100 * BATCH * 7, 100)]:
        monkeypatch.setattr(three_factor.ThreeFactor, "least", least)
        assert rule.joined(batch, 4) == length
