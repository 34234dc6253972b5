"""What a user's PyTorch module keeps, takes, gives and is made of: right as by hand, or refused in words."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch

import neko
from neko import tree
from neko.errors import GradientError, GradientWarning
from neko.models import adapt

RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 3)).astype(np.float32)
Y = RNG.standard_normal((8, 2)).astype(np.float32)


def rule(module, **options):
    torch_options = {"optimizer": "sgd", "learning_rate": 0.1}
    return neko.BPTT(neko.Evaluator(module, loss="mse", **options), **torch_options)


def by_hand(module, x=X, y=Y):
    return ((module(torch.tensor(x)) - torch.tensor(y)) ** 2).mean()


# --- the first look ---------------------------------------------------------------------------------------------------


class Helper:
    """An object of the user's own that a module holds."""

    def __init__(self):
        self.calls = 0


class Keeper(torch.nn.Module):
    """Keeps something of every call, in every way there is."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.value = torch.zeros(2)
        self.total = torch.zeros(2)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("late", None)
        self.seen, self.named, self.array, self.helper = [], {"a": [0]}, np.zeros(2), Helper()
        self.generator, self.stream = np.random.default_rng(3), torch.Generator().manual_seed(3)
        self.hooked = []
        hooked = self.hooked
        self.layer.register_forward_hook(lambda module, x, y: hooked.append(y))

    def forward(self, x):
        self.value = 0.9 * self.value.detach() + self.layer(x)
        self.total.add_(1.0)
        self.count = self.count + 1.0
        self.late = torch.ones(1)
        self.seen.append(len(x))
        self.named["a"][0] += 1
        self.array += 1
        self.helper.calls += 1
        self.new = True
        self.generator.normal()
        torch.rand(1, generator=self.stream)
        torch.rand(1), np.random.rand(), random.random()
        return self.value

    def kept(self):
        """All of it, as numbers."""
        late = -1 if self.late is None else float(self.late)
        numbers = (len(self.seen), self.named["a"][0], self.array[0], self.helper.calls, late, len(self.hooked))
        own = (self.generator.bit_generator.state["state"]["state"], self.stream.get_state().tolist())
        drawn = (torch.get_rng_state().tolist(), np.random.get_state()[2], random.getstate())
        tensors = (self.value.tolist(), self.total.tolist(), self.count.tolist(), hasattr(self, "new"))
        return numbers, own, drawn, tensors


@pytest.mark.parametrize("copyable", [True, False])
def test_a_look_leaves_no_trace(copyable):
    module = Keeper()
    if not copyable:
        module.value = module.layer(torch.zeros(1, 3))[0]  # has a history, which deepcopy refuses
        module.hooked.clear()
    before = module.kept()
    model = neko.Evaluator(module, loss="mse")
    model.build(X)
    model.build(X[:, None].repeat(2, axis=1)[:, 0])
    assert module.kept() == before
    module(torch.tensor(X))
    after = module.kept()
    assert all(a != b for a, b in zip(after[0] + after[1] + after[2], before[0] + before[1] + before[2], strict=True))
    assert after[3] != before[3]


def test_a_state_goes_on_from_batch_to_batch_as_by_hand():
    torch.manual_seed(0)
    mine, theirs = Keeper(), Keeper()
    theirs.load_state_dict(mine.state_dict())
    learning = rule(mine)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = by_hand(theirs)
        loss.backward()
        optimizer.step()
        assert learning.step(X, Y)["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert mine.count == theirs.count == 3.0, "a buffer that is set anew"


def test_lazy_modules_draw_as_by_hand():
    def made():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.LazyLinear(5), torch.nn.LazyBatchNorm1d(), torch.nn.LazyLinear(2))

    mine, theirs = made(), made()
    torch.manual_seed(1)
    found = rule(mine).step(X, Y)["loss"]
    after = torch.rand(1)
    torch.manual_seed(1)
    assert found == pytest.approx(by_hand(theirs).item(), rel=1e-5)
    assert after == torch.rand(1)
    assert type(mine[0]) is torch.nn.Linear
    assert float(mine[1].running_mean.abs().sum()) > 0.0


class Fixed(torch.nn.Module):
    """Made for batches of four."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 2)
        self.register_buffer("state", torch.zeros(4, 2))

    def forward(self, x):
        assert len(x) == 4, "batches of four"
        self.state = torch.tanh(self.layer(x) + self.state)
        return self.state


def test_a_module_made_for_one_batch_size_is_looked_at_with_that():
    learning = neko.BPTT(neko.Evaluator(Fixed(), loss="mse"), optimizer="sgd", learning_rate=0.0)
    history = neko.Trainer(learning).train(X, Y, epochs=2, batch_size=4, shuffle=False, progress=False)
    theirs = Fixed()
    expected = [np.mean([by_hand(theirs, X[i : i + 4], Y[i : i + 4]).item() for i in (0, 4)]) for _ in range(2)]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    assert expected[0] != pytest.approx(expected[1], rel=1e-3), "the state is carried"
    assert learning.model.predict(X, batch_size=4).shape == (8, 2)
    with pytest.raises(ValueError, match=r"did not take inputs of shape \(8, 3\): AssertionError: batches of four"):
        neko.Evaluator(Fixed(), loss="mse").build(X)


# --- inputs and outputs -----------------------------------------------------------------------------------------------


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(5, 2)

    def forward(self, left, right):
        return self.layer(torch.cat([left, right], -1))


RIGHT = RNG.standard_normal((8, 2)).astype(np.float32)


@pytest.mark.parametrize("x", [(X, RIGHT), [X, RIGHT], {"right": RIGHT, "left": X}], ids=["tuple", "list", "dict"])
def test_several_inputs_by_position_and_by_name(x):
    model = adapt(Two())
    assert model.several(x)
    model.prepare(x)
    given = tree.map(model.xp.asarray, x)
    found = model.forward(model.xp, model.params, model.arrange(given), model.buffers, training=True).outputs
    expected = Two()(torch.tensor(X), torch.tensor(RIGHT))
    np.testing.assert_allclose(found[0].numpy(), expected.detach().numpy(), rtol=1e-6)
    assert model.shape(given) is None


def test_a_list_is_several_inputs_only_where_the_module_takes_them():
    one = adapt(torch.nn.Linear(3, 2))
    assert not one.several([X, X])
    assert not adapt(Two()).several([[0.0, 1.0], [2.0, 3.0]])
    assert not neko.LIF(4, 2, "torch").several((X, X))
    with pytest.raises(ValueError, match="as many examples in each"):
        adapt(Two()).prepare((X, RIGHT[:3]))


class Record(torch.nn.Module):
    """Returns a dict."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x):
        return {"logits": self.layer(x), "hidden": x}


def lstm():
    torch.manual_seed(0)
    return torch.nn.LSTM(3, 2, batch_first=True)


@pytest.mark.parametrize(
    ("made", "output", "pick", "x"),
    [
        (lstm, 0, lambda r: r[0], X[:, None]),
        (lstm, lambda r: r[1][0][-1], lambda r: r[1][0][-1], X[:, None]),
        (lstm, -2, lambda r: r[0], X[:, None]),
        (Record, "logits", lambda r: r["logits"], X),
    ],
)
def test_an_output_is_chosen(made, output, pick, x):
    expected = pick(made()(torch.tensor(x)))
    y = np.ones(expected.shape, np.float32)
    loss, _ = rule(made(), output=output).gradients(x, y)
    assert float(loss) == pytest.approx(((expected - 1.0) ** 2).mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: rule(lstm()).step(X[:, None], Y), r"returns a tuple \(an array \(8, 1, 2\).*output=0"),
        (lambda: rule(Record()).step(X, Y), r"returns a dict \{'logits': an array \(8, 2\)"),
        (lambda: rule(Record(), output="logit").step(X, Y), "output='logit'.*'logits'"),
        (lambda: rule(lstm(), output=2).step(X[:, None], Y), "output=2"),
        (lambda: rule(lstm(), output=1).step(X[:, None], Y), "output=1 gives a tuple"),
        (lambda: rule(torch.nn.Linear(3, 2), output=0).step(X, Y), "returns one array"),
        (lambda: rule(torch.nn.Linear(3, 2), output=True), "output=True"),
        (lambda: neko.Evaluator(neko.LIF(4, 2, "torch"), loss="mse", output=0), "output=0.*has its outputs already"),
        (lambda: rule(torch.nn.LSTM(3, 2), output=0), "batch_first=True"),
        (lambda: rule(torch.nn.Linear(4, 2)).step(X, Y), r"did not take inputs of shape \(8, 3\)"),
        (lambda: rule(torch.nn.Linear(3, 2)).step(np.ones((8, 3), int), Y), "give others as floats"),
        (lambda: rule(torch.nn.DataParallel(torch.nn.Linear(3, 2))), "give its .module"),
        (lambda: rule(torch.nn.Flatten(0)).step(X, Y), r"expected \(batch, outputs\)"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


class Ends(torch.nn.Module):
    def __init__(self, end):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.end = torch.nn.Linear(3, 4), end

    def forward(self, x):
        return self.end(self.layer(x))


@pytest.mark.parametrize(
    ("end", "ending", "bounded"),
    [
        (lambda y: torch.softmax(y, -1), "softmax", True),
        (lambda y: torch.log_softmax(y, -1), "log_softmax", False),
        (torch.sigmoid, None, True),
        (torch.relu, None, False),
        (lambda y: torch.softmax(y, 0), None, True),
        (lambda y: y * 0.0 + 0.25, None, True),
    ],
    ids=["softmax", "log_softmax", "sigmoid", "relu", "over the batch", "constant"],
)
def test_an_ending_in_code_is_seen_by_value(end, ending, bounded):
    model = adapt(Ends(end), task_type="classification")
    model.prepare(X)
    assert (model.ending, model.bounded) == (ending, bounded)
    if ending == "softmax":
        np.testing.assert_allclose(model.predict(X), model.module(torch.tensor(X)).detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_ending_in_half_precision_is_seen_by_value(dtype):
    for end, ending in ((lambda y: torch.softmax(y, -1), "softmax"), (torch.sigmoid, None)):
        model = adapt(Ends(end).to(dtype))
        model.prepare(X)
        assert model.ending == ending


def test_an_ending_in_evaluation_only_is_refused():
    class Both(Ends):
        def forward(self, x):
            y = self.layer(x)
            return y if self.training else torch.softmax(y, -1)

    with pytest.raises(ValueError, match="softmax in evaluation and not in training"):
        adapt(Both(None)).prepare(X)


def test_names_that_are_not_there_are_not_written():
    model = adapt(torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"\['kernel'\] cannot be written"):
        model.params = {"kernel": torch.ones(2, 3)}


@pytest.mark.parametrize(
    ("last", "ending"),
    [
        (torch.nn.Softmax(-1), "softmax"),
        (torch.nn.LogSoftmax(-1), "log_softmax"),
        (torch.nn.Sigmoid(), "sigmoid"),
        (torch.nn.ReLU(), None),
    ],
)
def test_an_ending_of_layers_is_seen_even_in_one_row(last, ending):
    model = adapt(torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(3, 4), last)))
    model.prepare(X[:1])
    assert model.ending == ending


# --- what a module is made of -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_module_of_half_precision_learns_in_single(dtype):
    """Steps below its rounding add up: a thousandth of a rounding each, they move it in the end."""
    module = torch.nn.Linear(3, 2).to(dtype)
    with torch.no_grad():
        module.weight.fill_(1.0)
    step = torch.finfo(dtype).eps / 100
    learning = neko.BPTT(
        neko.Evaluator(module, loss=lambda xp, p, t: xp.sum(p, axis=-1)), optimizer="sgd", learning_rate=step
    )
    x = np.ones((4, 3))
    for _ in range(5):
        learning.step(x, np.zeros((4, 2)))
    assert (module.weight == 1.0).all()
    np.testing.assert_allclose(learning.model.params["weight"].numpy(), 1.0 - 5 * step, rtol=1e-6)
    for _ in range(120):
        learning.step(x, np.zeros((4, 2)))
    assert (module.weight < 1.0).all()
    assert module.weight.dtype == dtype
    with torch.no_grad():
        module.weight.fill_(2.0)
    assert (learning.model.params["weight"] == 2.0).all(), "what a user writes is what counts"
    assert learning.exported()["params"]["weight"].dtype == np.float32


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.out = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.out(self.b(torch.tanh(self.a(x))))


def parametrized():
    from torch.nn.utils import parametrizations

    torch.manual_seed(0)
    return torch.nn.Sequential(
        parametrizations.weight_norm(torch.nn.Linear(3, 4)), parametrizations.orthogonal(torch.nn.Linear(4, 4)),
        torch.nn.Linear(4, 2),
    )  # fmt: skip


@pytest.mark.parametrize("made", [Tied, parametrized, lambda: torch.compile(Tied(), backend="eager")])
def test_shared_and_derived_parameters_train_as_by_hand(made):
    mine, theirs = made(), made()
    learning, optimizer = rule(mine), torch.optim.SGD(theirs.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = by_hand(getattr(theirs, "_orig_mod", theirs))
        loss.backward()
        optimizer.step()
        assert learning.step(X, Y)["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for (name, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_class_numbers_stay_whole():
    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.out = torch.nn.Embedding(10, 4), torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.table(x).mean(1))

    assert np.isfinite(rule(Words()).step(RNG.integers(0, 10, (8, 5)), Y)["loss"])


# --- freezing, and gradients that nothing recorded --------------------------------------------------------------------


@pytest.mark.parametrize("learner", ["rule", "sampler"])
@pytest.mark.parametrize(("before", "words"), [(True, "'weight'.* was frozen"), (False, "'weight'.* was unfrozen")])
def test_freezing_between_two_calls_is_named(learner, before, words):
    module = torch.nn.Linear(3, 2)
    module.weight.requires_grad_(before)
    if learner == "rule":
        learning = rule(module)
        call = lambda: learning.step(X, Y)  # noqa: E731
    else:
        model = neko.Evaluator(module, loss="half_squared_error")
        trainer = neko.Trainer(neko.HMC(model, warmup=1, step_size=0.01, leapfrog_steps=1))
        call = lambda: trainer.train(X, Y, epochs=1, progress=False)  # noqa: E731
    call()
    module.weight.requires_grad_(not before)
    with pytest.raises(ValueError, match=words):
        call()


class Cuts(torch.nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.layer, self.out, self.cut = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2), cut

    def forward(self, x):
        return self.cut(self, x)


def without_grad(module, x):
    with torch.no_grad():
        hidden = module.layer(x)
    return module.out(hidden)


def in_inference(module, x):
    with torch.inference_mode():
        hidden = module.layer(x)
    return module.out(hidden)


@pytest.mark.parametrize("cut", [lambda m, x: m.out(m.layer(x).detach()), without_grad], ids=["detach", "no_grad"])
def test_a_parameter_that_nothing_is_recorded_for_is_named_once(cut):
    learning = rule(Cuts(cut))
    with pytest.warns(GradientWarning, match=r"layer\.bias, layer\.weight") as caught:
        learning.step(X, Y)
    assert len(caught) == 1
    learning.step(X, Y)  # a second warning would be an error


@pytest.mark.parametrize(
    "cut",
    [
        lambda m, x: m.out(m.layer(x)).detach(),
        in_inference,
        lambda m, x: torch.tensor(m.out(m.layer(x)).detach().numpy()),
    ],
    ids=["detach", "inference_mode", "numpy"],
)
def test_a_module_through_which_nothing_is_recorded_is_refused(cut):
    with pytest.raises(GradientError, match="record"):
        rule(Cuts(cut)).step(X, Y)


def test_a_frozen_part_is_not_missed():
    module = Cuts(without_grad)
    module.layer.requires_grad_(False)
    rule(module).step(X, Y)


@pytest.mark.parametrize("born", [False, True], ids=["module outside", "module inside"])
@pytest.mark.parametrize("built", [False, True], ids=["built outside", "built inside"])
@pytest.mark.parametrize("kind", ["module", "network"])
def test_inference_mode_is_left(kind, built, born):
    def made():
        torch.manual_seed(0)
        if kind == "network":
            return neko.LIF(5, 2, "torch", seed=0)
        module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        module[0].weight.requires_grad_(False)
        return module

    x, y = (X, Y) if kind == "module" else (3 * RNG.standard_normal((8, 6, 3)), RNG.standard_normal((8, 6, 2)))
    expected = rule(made())
    _, reference = expected.gradients(x, y)
    losses = [expected.step(x, y)["loss"] for _ in range(2)]
    with torch.inference_mode(born):
        module = made()
    with torch.inference_mode(built):
        learning = rule(module)
        learning.start(x)
    with torch.inference_mode():
        _, gradients = learning.gradients(torch.tensor(x), torch.tensor(y))
        assert [learning.step(x, y)["loss"] for _ in range(2)] == losses
    assert all(float(g.abs().sum()) > 0.0 for g in reference.values())
    for name, g in reference.items():
        np.testing.assert_array_equal(gradients[name].numpy(), g.numpy())


def test_copies_and_pickles_go_on_alike():
    import copy
    import pickle

    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    learning = neko.BPTT(neko.Evaluator(module, loss="mse"), optimizer="adam")
    learning.step(X, Y)
    others = [copy.deepcopy(learning), pickle.loads(pickle.dumps(learning))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            expected = learning.step(X, Y)
            assert [other.step(X, Y) for other in others] == [expected, expected]
