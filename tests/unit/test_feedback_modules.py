"""The feedback family on a user's own feed-forward PyTorch modules: by hand, and with the weights themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from torch.nn import functional

import neko
from neko.errors import GradientError
from neko.training.pairs import resolve

THROUGH = ("feedback_alignment", "sign_symmetric", "kolen_pollack", "weight_mirror")
RNG = np.random.default_rng(0)
FLAT = RNG.standard_normal((6, 5))
IMAGES = RNG.standard_normal((6, 1, 8, 8))
Y = RNG.standard_normal((6, 3))


def layered(dtype=torch.float64):
    torch.manual_seed(0)
    parts = (torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))
    return torch.nn.Sequential(*parts).to(dtype)


class Convolutional(torch.nn.Module):
    """Convolutions of every kind of option, normalisation, a residual connection and a pooled head."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.within = torch.nn.Conv2d(4, 4, 3, padding="same", groups=2, bias=False)
        self.down = torch.nn.Conv2d(4, 6, 3, stride=2, dilation=2)
        self.scale = torch.nn.LayerNorm(6)
        self.out = torch.nn.Linear(6, 3)

    def forward(self, x):
        h = torch.relu(self.norm(self.first(x)))
        h = h + torch.tanh(self.within(h))
        return self.out(self.scale(torch.relu(self.down(h)).mean((2, 3))))


def convolutional(dtype=torch.float64):
    torch.manual_seed(0)
    return Convolutional().to(dtype)


MODELS = {"layered": (layered, FLAT), "convolutional": (convolutional, IMAGES)}


def evaluator(module):
    return neko.Evaluator(module, loss="half_squared_error")


def gradients(rule, x):
    return {name: g.numpy() for name, g in rule.gradients(x, Y)[1].items()}


def symmetric(name, model, x):
    rule = resolve(name)(model)
    rule.start(x)
    weights = list(model.model.asymmetric())
    if name == "sign_symmetric":
        rule.gradient.backward = lambda params, feedback: {weight: params[weight] for weight in weights}
    else:
        rule.feedback = {f"feedback.{weight}": model.params[weight] for weight in weights}
    return rule


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", THROUGH)
@pytest.mark.parametrize("kind", MODELS)
def test_with_the_weights_as_feedback_it_is_backpropagation_bit_for_bit(kind, name, dtype):
    make, x = MODELS[kind]
    model = evaluator(make(dtype))
    value, exact = neko.BPTT(model).gradients(x, Y)
    found = gradients(symmetric(name, model, x), x)
    for weight, g in exact.items():
        assert np.array_equal(found[weight], g.numpy()), weight
    rule = resolve(name)(model)
    assert float(rule.gradients(x, Y)[0]) == float(value), "the forward pass is the same"
    own = gradients(rule, x)
    last = ("4.", "out.")
    for weight, g in exact.items():
        moved = np.abs(own[weight] - g.numpy()).max() / g.abs().max().item()
        assert (moved > 0.05) == (not weight.startswith(last)), (weight, moved)


def dense_by_hand(w, backward, x, y, direct=False):
    """Gradients of the three layers of `layered` under ``½ ‖y - target‖²`` per example, in NumPy."""
    h1 = np.tanh(x @ w["0.weight"].T + w["0.bias"])
    u2 = h1 @ w["2.weight"].T + w["2.bias"]
    h2 = np.maximum(u2, 0.0)
    d3 = (h2 @ w["4.weight"].T + w["4.bias"] - y) / len(x)
    d2 = (d3 @ (backward["4.weight"].T if direct else backward["4.weight"])) * (u2 > 0.0)
    d1 = (d3 @ backward["2.weight"].T if direct else d2 @ backward["2.weight"]) * (1.0 - h1**2)
    found = {}
    for place, a, d in (("0", x, d1), ("2", h1, d2), ("4", h2, d3)):
        found |= {f"{place}.weight": d.T @ a, f"{place}.bias": d.sum(axis=0)}
    return found


@pytest.mark.parametrize("name", ["feedback_alignment", "direct_feedback_alignment", "sign_symmetric"])
def test_dense_layers_have_the_gradient_by_hand(name):
    model = evaluator(layered())
    rule = resolve(name)(model)
    found = gradients(rule, FLAT)
    w = {weight: p.numpy() for weight, p in model.params.items()}
    backward = {weight: np.sign(p) * np.abs(p).mean() for weight, p in w.items()}
    if rule.feedback:
        backward = {weight.removeprefix("feedback."): b.numpy() for weight, b in rule.feedback.items()}
    expected = dense_by_hand(w, backward, FLAT, Y, direct=name.startswith("direct"))
    exact = dense_by_hand(w, w, FLAT, Y)
    for weight, g in expected.items():
        np.testing.assert_allclose(found[weight], g, rtol=1e-10, atol=1e-13)
    assert np.abs(expected["0.weight"] - exact["0.weight"]).max() > 0.1 * np.abs(exact["0.weight"]).max()


def test_a_convolution_has_the_gradient_by_hand():
    """``δ_in = δ_out * B`` as PyTorch's own gradient of a convolution with the kernel B by its input."""
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.Tanh(), torch.nn.Conv2d(3, 2, 3, stride=2, padding=1), torch.nn.Flatten(1)
    ).double()
    x = torch.tensor(IMAGES[:, :, :4, :4])
    model = evaluator(torch.nn.Sequential(*module, torch.nn.Linear(2, 3).double()))
    rule = neko.FeedbackAlignment(model)
    rule.start(x)
    w, b = model.params, rule.feedback
    h = torch.tanh(functional.conv2d(x, w["0.weight"], w["0.bias"]))
    flat = functional.conv2d(h, w["2.weight"], w["2.bias"], stride=2, padding=1).flatten(1)
    error = (flat @ w["4.weight"].T + w["4.bias"] - torch.tensor(Y)) / len(x)
    back = (error @ b["feedback.4.weight"]).reshape(len(x), 2, 1, 1)
    onto = torch.nn.grad.conv2d_input(h.shape, b["feedback.2.weight"], back, stride=2, padding=1) * (1.0 - h**2)
    expected = {
        "2.weight": torch.nn.grad.conv2d_weight(h, w["2.weight"].shape, back, stride=2, padding=1),
        "0.weight": torch.nn.grad.conv2d_weight(x, w["0.weight"].shape, onto),
        "0.bias": onto.sum((0, 2, 3)),
    }
    found = rule.gradients(x, Y)[1]
    for weight, g in expected.items():
        np.testing.assert_allclose(found[weight], g, rtol=1e-10, atol=1e-13)


def test_the_gap_of_kolen_pollack_and_the_mirror_of_kernels():
    """As for networks of cells; a mirror of many samples has the kernel's shape and comes to it at rate 1."""
    model, share = evaluator(convolutional()), 0.1
    rule = neko.KolenPollack(model, optimizer="sgd", learning_rate=0.01, feedback_decay=share)
    rule.start(IMAGES)

    def gap():
        return {weight: (rule.feedback[f"feedback.{weight}"] - model.params[weight]).numpy() for weight in names}

    names = list(model.model.asymmetric())
    assert names == ["first.weight", "within.weight", "down.weight", "out.weight"]
    before = gap()
    for _ in range(3):
        rule.step(IMAGES, Y)
    for weight, g in gap().items():
        np.testing.assert_allclose(g, (1.0 - share) ** 3 * before[weight], rtol=1e-9, atol=1e-13)
    mirror = neko.WeightMirror(model, optimizer="sgd", learning_rate=1e-12, mirror_rate=1e12, mirror_samples=100_000)
    mirror.step(IMAGES, Y)
    for weight in names:
        w, b = model.params[weight].numpy(), mirror.feedback[f"feedback.{weight}"].numpy()
        spread = np.sqrt((w**2 + (w**2).reshape(len(w), -1).sum(axis=1).reshape(-1, *[1] * (w.ndim - 1))) / 100_000)
        assert (np.abs(b - w) < 8.0 * spread).all(), "8 standard deviations"


def test_direct_feedback_broadcasts_over_the_steps_of_an_activity():
    """Outputs at every step receive their own error; a mean over steps broadcasts its error to all of them."""

    class Steps(torch.nn.Module):
        def __init__(self, pooled):
            super().__init__()
            self.first, self.second, self.pooled = torch.nn.Linear(5, 8), torch.nn.Linear(8, 3), pooled

        def forward(self, x):
            h = torch.tanh(self.first(x))
            return self.second(h.mean(1) if self.pooled else h)

    x = RNG.standard_normal((6, 4, 5))
    for pooled in (False, True):
        torch.manual_seed(0)
        model = evaluator(Steps(pooled).double())
        rule = neko.DirectFeedbackAlignment(model)
        target = Y if pooled else RNG.standard_normal((6, 4, 3))
        _, found = rule.gradients(x, target)
        w, b = model.params, rule.feedback["feedback.second.weight"].numpy()
        h = np.tanh(x @ w["first.weight"].numpy().T + w["first.bias"].numpy())
        met = h.mean(axis=1) if pooled else h
        error = met @ w["second.weight"].numpy().T + w["second.bias"].numpy() - target
        error = error / (len(x) * (1 if pooled else 4))
        onto = error @ b.T
        onto = (onto[:, None] / 4 if pooled else onto) * (1.0 - h**2)
        np.testing.assert_allclose(found["first.weight"], np.einsum("btn,btp->np", onto, x), rtol=1e-10)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (torch.nn.LSTM(5, 3, batch_first=True), "'weight_ih_l0' of LSTM"),
        (torch.nn.GRU(5, 3, batch_first=True), "'weight_ih_l0' of GRU"),
        (torch.nn.RNN(5, 3, batch_first=True), "'weight_ih_l0' of RNN"),
        (torch.nn.TransformerEncoderLayer(5, 1, batch_first=True), "of MultiheadAttention"),
        (torch.nn.ConvTranspose1d(5, 3, 2), "'weight' of ConvTranspose1d"),
        (torch.nn.Bilinear(5, 5, 3), "'weight' of Bilinear"),
    ],
)
def test_a_layer_of_other_products_is_refused(module, words):
    for name in (*THROUGH, "direct_feedback_alignment"):
        with pytest.raises(TypeError, match=words):
            resolve(name)(neko.Evaluator(module, loss="mse", output=0 if "LSTM" in words else None))


class Scaled(torch.nn.Linear):
    def forward(self, x):
        return functional.linear(x, 2.0 * self.weight, self.bias)


def test_a_weight_that_is_used_otherwise_is_refused():
    """Its credit would pass back exactly, without a word; what only looks at a weight is no use."""

    class Looks(torch.nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                self.norm = float(self.weight.norm()) + float(self.weight.detach().max())
            assert self.weight.shape == (8, 8)
            return super().forward(x)

    def module(middle):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(5, 8), middle, torch.nn.Linear(8, 3)).double()

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g @ w.T, x.T @ g

    class Hidden(torch.nn.Linear):
        def forward(self, x):
            return Own.apply(x, self.weight)

    class Again(torch.nn.Linear):
        def forward(self, x):
            return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=False)

    with pytest.raises(GradientError, match="runs again in the backward pass"):
        neko.FeedbackAlignment(evaluator(module(Again(8, 8)))).gradients(FLAT, Y)
    for other in (Scaled, Hidden):
        with pytest.raises(GradientError, match="is used by"):
            neko.FeedbackAlignment(evaluator(module(other(8, 8)))).gradients(FLAT, Y)
    assert float(neko.FeedbackAlignment(evaluator(module(Looks(8, 8)))).gradients(FLAT, Y)[0]) > 0.0


def test_direct_feedback_to_a_convolution_has_the_gradient_by_hand():
    """The error reaches all positions and channels of the activity that meets it, by a matrix drawn from the seed."""
    torch.manual_seed(1)
    parts = (torch.nn.Conv2d(1, 3, 3), torch.nn.Tanh(), torch.nn.Conv2d(3, 2, 2), torch.nn.Flatten(1))
    module = torch.nn.Sequential(*parts, torch.nn.Linear(2, 3)).double()
    model, x = evaluator(module), torch.tensor(IMAGES[:, :, :4, :4])
    rule = neko.DirectFeedbackAlignment(model, feedback_seed=3)
    found = rule.gradients(x, Y)[1]
    assert list(rule.feedback) == ["feedback.4.weight"]
    w, random = model.params, model.xp.random
    h = torch.tanh(functional.conv2d(x, w["0.weight"], w["0.bias"]))
    error = (module(x).detach() - torch.tensor(Y)) / len(x)
    b = random.normal(random.fold(random.key(3), 1), (12, 3)) / np.sqrt(12.0)
    onto = (error @ b.T).reshape(h.shape) * (1.0 - h**2)
    expected = torch.nn.grad.conv2d_weight(x, w["0.weight"].shape, onto)
    np.testing.assert_allclose(found["0.weight"], expected, rtol=1e-10, atol=1e-13)
    other = neko.DirectFeedbackAlignment(model, feedback_seed=4).gradients(x, Y)[1]["0.weight"]
    assert (other - expected).abs().max() > 0.1 * expected.abs().max()


def test_frozen_layers_pass_credit_as_they_are():
    module = layered()
    module[2].requires_grad_(False)
    model = evaluator(module)
    rule = neko.FeedbackAlignment(model)
    found = gradients(rule, FLAT)
    w = {name: p.detach().numpy() for name, p in module.named_parameters()}
    backward = {**w, "4.weight": rule.feedback["feedback.4.weight"].numpy()}
    expected = dense_by_hand(w, backward, FLAT, Y)
    assert "2.weight" not in found
    np.testing.assert_allclose(found["0.weight"], expected["0.weight"], rtol=1e-10)


@pytest.mark.parametrize("name", [*THROUGH, "direct_feedback_alignment"])
def test_it_learns(name):
    model = evaluator(layered())
    options = {"mirror_rate": 5.0} if name == "weight_mirror" else {}
    rule = resolve(name)(model, optimizer="sgd", learning_rate=0.1, **options)
    first = rule.step(FLAT, Y)["loss"]
    for _ in range(100):
        last = rule.step(FLAT, Y)["loss"]
    assert last < 0.5 * first
