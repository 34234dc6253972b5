"""The converters of a chip: their levels, and networks and modules between them, against plain computations."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import neko
from neko import Converters, Quantiser
from neko.bayes.gibbs.contributions import refused
from neko.errors import CheckpointError, ExchangeError
from neko.exchange import save_network
from neko.models.weights import load_weights, save_weights

from oracle import liveness

DAC, ADC = Quantiser(bits=4, full_scale=1.5), Quantiser(bits=5, full_scale=2.0)
BOTH = Converters(dac=DAC, adc=ADC)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 12, 4)), RNG.standard_normal((3, 12, 2))


def rounded(q, u):
    """The nearest of all levels, listed one by one."""
    levels = np.linspace(-q.full_scale, q.full_scale, 2**q.bits - 1)
    return levels[np.abs(np.asarray(u)[..., None] - levels).argmin(-1)]


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_there_are_2_to_the_bits_less_one_levels_and_derivative_1(xp, bits):
    q = Quantiser(bits=bits, full_scale=0.7)
    u = np.linspace(-1.0, 1.0, 4001) + 1e-5  # off the ties, 0.35 among them
    value, credit = xp.vjp(lambda a: q(xp, a), xp.asarray(u))
    found = np.asarray(xp.to_numpy(value))
    np.testing.assert_allclose(found, rounded(q, u), atol=1e-12)
    assert len(np.unique(found.round(9))) == 2**bits - 1
    assert {-0.7, 0.0, 0.7} <= set(found.round(9))
    np.testing.assert_array_equal(xp.to_numpy(credit(xp.ones_like(value))[0]), 1.0)
    np.testing.assert_array_equal(xp.to_numpy(q(xp, xp.asarray(-u))), -found)


def network(kind, converters, xp=None, **options):
    made = neko.backend.get("torch", dtype="float64") if xp is None else xp
    return getattr(neko, kind)(6, 2, made, converters=converters, **options).build(4)


def by_hand(kind, params, tau_out):
    """Outputs (time, batch, outputs), and for LIF spikes, in NumPy."""
    w_in, w_rec, b, w_out, b_out = (
        params.get(name) for name in ("layers.0.w_in", "layers.0.w_rec", "layers.0.b", "readout.w_out", "readout.b_out")
    )
    kappa = np.exp(-1.0 / tau_out)
    v, z, f, outputs, spikes = np.zeros((3, 6)), np.zeros((3, 6)), 0.0, [], []
    for x in rounded(DAC, X.swapaxes(0, 1)):
        current = x @ w_in + z @ (w_rec * (1 - np.eye(6)) if kind == "LIF" else w_rec)
        current = rounded(ADC, current if b is None else current + b)
        if kind == "LIF":
            v = np.exp(-1.0 / 5.0) * v + current - 0.5 * z
            z = (v > 0.5).astype(float)
            spikes.append(z)
        else:
            z = rounded(DAC, np.tanh(current))
        f = kappa * f + rounded(ADC, z @ w_out)
        outputs.append(f + b_out)
    return np.array(outputs), spikes


@pytest.mark.quick("torch")
@pytest.mark.parametrize("kind", ["LIF", "RNN"])
def test_a_network_computes_with_converted_numbers(xp, kind):
    options = {"tau_m": 5.0, "v_th": 0.5} if kind == "LIF" else {}
    model = network(kind, BOTH, xp, tau_out=7.0, **options)
    params = {name: np.array(xp.to_numpy(p)) for name, p in model.params.items()}
    if kind == "RNN":
        params["layers.0.b"] = RNG.standard_normal(6)
    params["readout.b_out"] = np.array([0.123, -4.0])
    model.params = {name: xp.asarray(p) for name, p in params.items()}
    expected, spikes = by_hand(kind, params, 7.0)
    if kind == "LIF":
        liveness(spikes)
    np.testing.assert_allclose(model.predict(X).swapaxes(0, 1), expected, atol=1e-9)
    exact = network(kind, None, xp, tau_out=7.0, **options)
    exact.params = model.params
    assert np.abs(exact.predict(X) - model.predict(X)).max() > 0.05


def test_graded_cells_keep_their_own_state_exact():
    """A GRU remembers what is far below a step of the DAC that sends it."""
    *_, exact, sent = network("GRU", Converters(dac=Quantiser(bits=2, full_scale=0.4))).record(X)[0]
    assert np.isin(sent.round(9), [-0.4, 0.0, 0.4]).all()
    assert np.abs(exact - sent).max() > 0.1
    assert len(np.unique(exact)) == exact.size


@pytest.mark.parametrize("kind", ["LIF", "RNN"])
def test_many_bits_are_no_converters(kind):
    exact = network(kind, None).predict(X)

    def deviation(bits):
        adc, dac = Quantiser(bits=bits, full_scale=32.0), Quantiser(bits=bits, full_scale=8.0)
        return np.abs(network(kind, Converters(dac=dac, adc=adc)).predict(X) - exact).max()

    # Each of 12 steps adds at most some half steps of 32 / 2^23, which are 2e-6, through few weights of order 1.
    assert deviation(24) < 1e-3
    assert deviation(6) > 1e-2


@pytest.mark.parametrize("detached", [False, True], ids=["bptt", "eprop"])
def test_the_derivative_is_that_of_the_plain_network_at_the_converted_numbers(detached):
    """A LIF network in PyTorch alone, in which each conversion adds its error as a constant."""
    torch = pytest.importorskip("torch")
    model = network("LIF", BOTH, tau_m=5.0, v_th=0.5, tau_out=7.0, detach_reset=detached)
    p = {name: a.detach().clone().requires_grad_() for name, a in model.params.items()}

    def through(q, u):
        return u + torch.tensor(rounded(q, u.detach().numpy()) - u.detach().numpy())

    v, z, f, loss = torch.zeros((3, 6)).double(), torch.zeros((3, 6)).double(), 0.0, 0.0
    for t in range(12):
        x, back = torch.tensor(rounded(DAC, X[:, t])), z.detach() if detached else z
        current = through(ADC, x @ p["layers.0.w_in"] + back @ (p["layers.0.w_rec"] * (1 - torch.eye(6).double())))
        v = np.exp(-1.0 / 5.0) * v + current - 0.5 * back
        u = v / 0.5 - 1.0
        psi = 0.3 * torch.clamp(1.0 - u.detach().abs(), min=0.0)
        z = (u > 0.0).double() + psi * (u - u.detach())
        f = np.exp(-1.0 / 7.0) * f + through(ADC, z @ p["readout.w_out"])
        loss = loss + ((f + p["readout.b_out"] - torch.tensor(Y[:, t])) ** 2).mean(-1).mean() / 12
    loss.backward()
    rule = neko.Eprop if detached else neko.BPTT
    options = {"mode": "symmetric"} if detached else {}
    value, found = rule(neko.Evaluator(model, loss="mse"), **options).gradients(X, Y)
    assert float(value) == pytest.approx(loss.item(), rel=1e-9)
    for name, expected in p.items():
        np.testing.assert_allclose(found[name].numpy(), expected.grad.numpy(), atol=1e-9, err_msg=name)
        assert expected.grad.abs().max() > 1e-4


def test_a_torch_module_is_its_own_copy_with_converters():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    mine = torch.nn.Sequential(
        torch.nn.Conv1d(4, 5, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(50, 8), torch.nn.Tanh()
    ).double()
    mine.append(torch.nn.Linear(8, 2).double())
    theirs = copy.deepcopy(mine)

    def through(q, u):
        return u + (torch.tensor(rounded(q, u.detach().numpy())) - u).detach()

    def forward(x):
        for layer in theirs:
            weighted = isinstance(layer, (torch.nn.Linear, torch.nn.Conv1d))
            x = through(ADC, layer(through(DAC, x))) if weighted else layer(x)
        return x

    x, y = X.swapaxes(1, 2).copy(), Y[:, 0]
    evaluator = neko.Evaluator(neko.models.adapt(mine, converters=BOTH), loss="mse")
    value, found = neko.BPTT(evaluator).gradients(x, y)
    loss = ((forward(torch.tensor(x)) - torch.tensor(y)) ** 2).mean(-1).mean()
    loss.backward()
    assert float(value) == pytest.approx(loss.item(), rel=1e-9)
    for name, p in theirs.named_parameters():
        np.testing.assert_allclose(found[name].numpy(), p.grad.numpy(), atol=1e-9, err_msg=name)
    np.testing.assert_allclose(evaluator.predict(x), forward(torch.tensor(x)).detach().numpy(), atol=1e-9)
    assert not np.allclose(evaluator.predict(x), mine(torch.tensor(x)).detach().numpy(), atol=1e-2)
    neko.BPTT(evaluator, optimizer="sgd", learning_rate=0.1).step(x, y)
    assert not torch.equal(mine[0].weight, theirs[0].weight), "the person's own module is trained"
    credit = neko.rules.RULES["feedback_alignment"](evaluator)
    assert np.isfinite(float(neko.LearningRule(credit).step(x, y)["loss"]))


def test_converters_are_part_of_what_a_model_is(tmp_path):
    model = network("RNN", BOTH)
    path = save_weights(model, tmp_path / "weights")
    for made in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), load_weights(network("RNN", BOTH), path)):
        np.testing.assert_array_equal((made or model).predict(X), model.predict(X))
    for other in (None, Converters(adc=ADC), Converters(dac=DAC, adc=Quantiser(bits=6, full_scale=2.0))):
        assert network("RNN", other).identity() != model.identity()
        with pytest.raises(CheckpointError):
            load_weights(network("RNN", other), path)
    with pytest.raises(ExchangeError, match="without converters"):
        save_network(network("LIF", Converters(dac=DAC)), tmp_path / "network")
    assert "converters" in refused(neko.Evaluator(network("LIF", BOTH, recurrent=False), loss="mse"), [])


def test_what_is_no_converter_is_refused():
    torch = pytest.importorskip("torch")
    for bits in (1, 25, 4.0):
        with pytest.raises(ValueError, match=f"bits={bits!r}: expected"):
            Quantiser(bits=bits, full_scale=1.0)
    with pytest.raises(ValueError, match=r"full_scale=0\.0: expected"):
        Quantiser(bits=4, full_scale=0.0)
    for given in ({}, {"adc": 8}):
        with pytest.raises(TypeError, match=r"expected dac=, adc= or both"):
            Converters(**given)
    with pytest.raises(TypeError, match=r"converters=8: expected neko\.Converters"):
        network("LIF", 8)
    lstm = torch.nn.LSTM(4, 2, batch_first=True)
    model = neko.Evaluator(neko.models.adapt(lstm, output=0, converters=BOTH), loss="mse")
    with pytest.raises(TypeError, match="there are no converters for these"):
        model.evaluate(X.astype(np.float32), Y)
