"""The same batches in whatever form they come train the same; what gives none, or others, is named."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import neko
from neko import backend as backends
from neko.data import sources
from neko.data.prefetch import Prefetcher

RNG = np.random.default_rng(3)
X = (RNG.random((10, 6, 4)) < 0.5).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(3, size=10)]
MASK = (np.arange(6) < RNG.integers(2, 7, size=(10, 1))).astype(np.float32)
SIZE = 4
FRAMEWORKS = {"torch": "torch", "jax": "jax", "tensorflow": "tensorflow"}


def source_of(x, y=None, *, model="torch", **options):
    """Batches as a network that fits them takes them."""
    options = {"batch_size": 128, **options}
    return sources.source(evaluator(model).intake, x, y, **options)


class Loader:
    """An iterable without a length."""

    def __init__(self, made):
        self.made = made

    def __iter__(self):
        return iter(self.made)


def portions(mask):
    parts = (X, Y) if mask is None else (X, Y, mask)
    return [tuple(a[i : i + SIZE] for a in parts) for i in range(0, len(X), SIZE)]


def convert(framework, a):
    if framework == "torch":
        import torch

        return torch.from_numpy(a)
    if framework == "jax":
        import jax.numpy

        return jax.numpy.asarray(a)
    import tensorflow as tf

    return tf.constant(a)


def data_loader(mask):
    import torch

    tensors = [torch.from_numpy(a) for a in ((X, Y) if mask is None else (X, Y, mask))]
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), batch_size=SIZE)


def tf_data(mask):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y) if mask is None else (X, Y, mask)).batch(SIZE)


def forms():
    """Ways to give the batches: name, and a function from the mask to (arguments, options) of train."""
    arrays = {"batch_size": SIZE, "shuffle": False}

    def given(convert):
        return lambda mask: ([convert(a) for a in (X, Y, mask) if a is not None], arrays)

    yield "NumPy", given(lambda a: a)
    yield "nested lists", given(lambda a: a.tolist())
    yield "list of tuples", lambda mask: ([portions(mask)], {})
    yield "list of lists", lambda mask: ([[list(part) for part in portions(mask)]], {})
    yield "no length", lambda mask: ([Loader(portions(mask))], {})
    for name, module in FRAMEWORKS.items():
        if importlib.util.find_spec(module):
            yield f"{name} arrays", given(lambda a, name=name: convert(name, a))
    if importlib.util.find_spec("torch"):
        yield "DataLoader", lambda mask: ([data_loader(mask)], {})
    if importlib.util.find_spec("tensorflow"):
        yield "tf.data", lambda mask: ([tf_data(mask)], {})


def evaluator(backend, **options):
    return neko.Evaluator(
        neko.LIF(8, 3, backend, tau_m=20.0), "categorical_crossentropy", ["accuracy", "firing_rate"], **options
    )


class Repeated:
    """Trains one rule anew again and again, which is compiled once; 'naive' has no state."""

    def __init__(self, backend):
        self.rule = neko.BPTT(evaluator(backend), optimizer="naive")
        self.rule.model.build(X)
        self.start = self.rule.model.params
        self.validation = None

    def train(self, *data, epochs=2, **options):
        self.rule.model.params = self.start
        trainer = neko.Trainer(self.rule)
        options.setdefault("validation", self.validation)
        history = trainer.train(*data, epochs=epochs, progress=False, **options)
        return history, {name: self.rule.xp.to_numpy(w) for name, w in self.rule.model.params.items()}


@pytest.fixture(scope="module", params=backends.installed())
def repeated(request):
    return Repeated(request.param)


def same(found, expected):
    assert found[0] == expected[0]
    assert all(np.array_equal(found[1][name], w) for name, w in expected[1].items())


@pytest.mark.quick("torch")
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_every_form_gives_the_same_training(repeated, mask):
    expected = repeated.train(X, Y, *[] if mask is None else [mask], batch_size=SIZE, shuffle=False)
    for name, form in forms():
        data, options = form(mask)
        found = repeated.train(*data, **options)
        assert found[0] == expected[0], name
        same(found, expected)
    moved = [np.abs(expected[1][name] - repeated.rule.xp.to_numpy(w)).max() for name, w in repeated.start.items()]
    assert max(moved) > 0.0


def test_shuffled_arrays_of_every_framework(repeated):
    expected = repeated.train(X, Y, MASK, batch_size=SIZE, seed=4)
    for framework, module in FRAMEWORKS.items():
        if importlib.util.find_spec(module):
            same(repeated.train(*(convert(framework, a) for a in (X, Y, MASK)), batch_size=SIZE, seed=4), expected)
    assert repeated.train(X, Y, MASK, batch_size=SIZE, seed=5)[0] != expected[0]


def test_the_mask_matters(repeated):
    whole = repeated.train(X, Y, batch_size=SIZE, shuffle=False)[0]
    assert repeated.train(X, Y, MASK, batch_size=SIZE, shuffle=False)[0]["loss"] != whole["loss"]


@pytest.mark.quick("torch")
def test_validation_in_every_form(repeated):
    repeated.train(X, Y, batch_size=SIZE, epochs=1)
    expected = repeated.rule.model.evaluate(X, Y, MASK, batch_size=SIZE)
    for validation in ((X, Y, MASK), portions(MASK), Loader(portions(MASK))):
        found = repeated.rule.model.evaluate(*validation if isinstance(validation, tuple) else (validation,))
        assert found == pytest.approx(expected, rel=1e-5)
    history = repeated.train(X, Y, batch_size=SIZE, epochs=1, validation=portions(MASK))[0]
    measured = repeated.rule.model.evaluate(portions(MASK))
    assert {f"val_{name}": [value] for name, value in measured.items()}.items() <= history.items()


def test_an_iterator_lasts_one_epoch():
    """One epoch trains as a list does; of a second one it is said before anything is learnt."""
    repeated = Repeated("torch")
    expected = repeated.train(portions(None), epochs=1)
    same(repeated.train(iter(portions(None)), epochs=1), expected)
    same(repeated.train((part for part in portions(None)), epochs=1), expected)
    with pytest.raises(ValueError, match="x: a generator is used up after one pass: expected epochs=1"):
        repeated.train((part for part in portions(None)), epochs=2)
    assert repeated.rule.model.params is repeated.start
    with pytest.raises(ValueError, match="validation: a list_iterator is used up"):
        repeated.train(X, Y, epochs=2, validation=iter(portions(None)))
    assert repeated.rule.model.params is repeated.start


@pytest.mark.parametrize(
    ("wrong", "options", "words"),
    [
        ([[]], {}, "list gave no batch: expected one or more"),
        ([[X]], {}, "batch 0 is ndarray: expected \\(x, y\\) or \\(x, y, mask\\)"),
        ([[(X,)]], {}, "batch 0 is 1 arrays"),
        ([[(X, Y), (X, Y, MASK, MASK)]], {}, "batch 1 is 4 arrays"),
        ([X], {}, "x is ndarray without y"),
        ([{"x": X, "y": Y}], {}, "x is dict without y"),
        (["digits"], {}, "x is str without y"),
        ([3], {}, "x=3 without y: expected an iterable"),
        ([None], {}, "x=None without y"),
        ([X, None, MASK], {}, "mask without y"),
        ([[(X, Y)]], {"batch_size": 4}, "batch_size=4: batches of an iterable have their own size"),
        ([X, Y], {"batch_size": 0}, "batch_size=0: expected a positive integer"),
        ([X, Y], {"batch_size": 2.0}, "batch_size=2.0"),
        ([X, Y], {"seed": -1}, "seed=-1: expected an integer of at least 0"),
        ([X, Y], {"seed": "a"}, "seed='a'"),
        ([X, Y], {"seed": 0.5}, "seed=0.5"),
        ([X, Y], {"shuffle": "yes"}, "shuffle='yes': expected True or False"),
        ([X[:0], Y[:0]], {}, "at least 1"),
        ([X, Y[:4]], {}, r"\[10, 4\] examples"),
        ([X, Y, MASK[:4]], {}, r"\[10, 10, 4\] examples"),
        ([[(X, Y)], Y], {}, "expected an array of numbers.*; pad"),
        ([[[1.0, 2.0], [1.0]], Y], {}, "rows of equal length; pad"),
        ([X, Y], {"epochs": 1.5}, "epochs=1.5"),
        ([X, Y], {"callbacks": neko.EarlyStopping()}, r"expected a list of them"),
        ([X, Y], {"callbacks": [3]}, "callback 3: expected a Callback"),
        ([X, Y], {"callbacks": 3}, "callbacks=3: expected a list"),
        ([X, Y], {"validation": X}, "x is ndarray without y"),
        ([X, Y], {"validation": (X, Y[:2])}, r"\[10, 2\] examples"),
    ],
)
def test_what_gives_no_batches_is_named(wrong, options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        neko.Trainer(neko.BPTT(evaluator("torch"))).train(*wrong, **options, progress=False)


@pytest.mark.parametrize("loader", [data_loader, tf_data] if importlib.util.find_spec("tensorflow") else [data_loader])
def test_a_loader_with_y_beside_it_is_named(loader):
    with pytest.raises(
        (ValueError, TypeError), match=r"x is .*(Load|Dataset).*expected an array, or a loader without y"
    ):
        neko.Trainer(neko.BPTT(evaluator("torch"))).train(loader(None), Y, progress=False)


def test_epoch_k_is_the_kth_permutation_of_the_seed():
    numbers = np.arange(10.0)[:, None, None]
    targets = np.eye(3)[np.zeros(10, int)]
    rng = np.random.default_rng(5)
    orders = [rng.permutation(10) for _ in range(4)]
    source = source_of(numbers, targets, batch_size=3, shuffle=True, seed=5)
    for epoch in (0, 1, 3, 2, 0):
        seen = [batch.x.numpy().ravel() for batch in source.epoch(epoch)]
        assert [len(part) for part in seen] == [3, 3, 3, 1]
        assert np.array_equal(np.concatenate(seen), orders[epoch])
        rest = np.concatenate([batch.x.numpy().ravel() for batch in source.rest(epoch, 2)])
        assert np.array_equal(rest, orders[epoch][6:])
    assert np.array_equal(next(source.first()).x.numpy().ravel(), orders[0][:3])
    plain = source_of(numbers, targets, batch_size=3, shuffle=False, seed=5)
    assert np.array_equal(np.concatenate([batch.x.numpy().ravel() for batch in plain.epoch(1)]), np.arange(10.0))


def test_the_default_portion_is_128_examples():
    x = np.ones((130, 2, 1), np.float32)
    trainer = neko.Trainer(neko.BPTT(neko.Evaluator(neko.RNN(2, 1, "torch"), "mse")))
    trainer.train(x, np.ones((130, 1)), progress=False)
    assert trainer.rule.steps == 2


def test_a_batch_fetched_ahead_is_the_next_one():
    source = source_of([(X[i : i + 1], Y[i : i + 1]) for i in range(4)])
    ahead = Prefetcher(source, source.epoch(0), marked=True)
    seen = []
    for batch in ahead:
        seen.append(batch.x.numpy())
        assert ahead.mark is None
        if len(seen) != 2:
            ahead.fetch()
            ahead.fetch()
            assert ahead.mark is not None
    assert np.array_equal(np.concatenate(seen), X[:4])


def test_what_goes_wrong_ahead_is_told_in_its_turn():
    def given():
        yield X, Y
        raise ZeroDivisionError("in the loader")

    source = source_of(given())
    ahead = Prefetcher(source, source.epoch(0), marked=False)
    assert np.array_equal(next(ahead).x, X)
    ahead.fetch()
    assert ahead.mark is None
    with pytest.raises(ZeroDivisionError, match="in the loader"):
        next(ahead)


def test_a_batch_is_fetched_again_as_it_was_drawn():
    class Drawn:
        def __iter__(self):
            for _ in range(3):
                yield np.random.rand(2, 3, 4), Y[:2]

    source = source_of(Drawn())
    ahead = Prefetcher(source, source.epoch(0), marked=True)
    next(ahead)
    ahead.fetch()
    mark, now = ahead.mark, source.mark()
    expected, after = next(ahead)[0], np.random.rand()
    source.reset(now)
    again = Prefetcher(source, source.rest(0, 1), marked=True)
    again.fetch_again(mark)
    assert np.array_equal(next(again)[0], expected)
    assert np.random.rand() == after


def test_the_next_batch_is_fetched_before_the_numbers_of_this_one_are_asked_for():
    """A device may be busy meanwhile."""
    log = []

    class Told(Loader):
        def __iter__(self):
            for i, part in enumerate(self.made):
                log.append(f"fetch {i}")
                yield part

    class Listens(neko.callbacks.Callback):
        def batch(self, loop):
            log.append(f"done {loop.batch - 1}")

    rule = neko.BPTT(evaluator("torch"))
    neko.Trainer(rule).train(Told(portions(None)), callbacks=[Listens()], progress=False)
    assert log == ["fetch 0", "fetch 1", "done 0", "fetch 2", "done 1", "done 2"]
