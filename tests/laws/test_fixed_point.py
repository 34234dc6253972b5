"""Loihi's integers: numbers that Lava publishes (its tests of LIF), steps worked by hand, and what is lost."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import neko
from neko.cells import ALIF, LIF, AdEx, CubaLIF, Learnable
from neko.cli import app
from neko.errors import ExchangeError
from neko.exchange import to_loihi
from neko.exchange.fixed_point.compartments import Compartments, Weights
from neko.exchange.fixed_point.formats import LIMIT, decayed, spacing
from neko.exchange.fixed_point.scale import rounded, value

import few_digits

pytest.importorskip("torch")
XP = neko.backend.get("torch", dtype="float64")


def neuron(mantissas, exponent=0, du=4095, dv=0, vth=None, bias=0, w_rec=None):
    """One neuron with a weight from each input."""
    weights = Weights(np.array(mantissas, np.int64)[:, None], exponent)
    vth = None if vth is None else np.array([vth])
    return Compartments(weights, w_rec, np.array([du]), np.array([dv]), vth, np.array([bias]))


def currents(one, spikes):
    """u, v and spikes of one neuron at every step, for spikes (time, n_in)."""
    u, v, z = np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64), np.zeros((1, 1), bool)
    found = []
    for now in np.array(spikes)[:, None]:
        u, v, z = one.advance(u, v, now, z)
        found.append((int(u[0, 0]), int(v[0, 0]), bool(z[0, 0])))
        v = np.where(z, 0, v)
    return tuple(map(list, zip(*found, strict=True)))


FIRST = [[1], *[[0]] * 7]


def test_the_decay_of_a_current_is_that_of_lava():
    """128 at the first step and du = 2047, to which the chip adds 1: halves."""
    assert currents(neuron([128], du=2047), FIRST)[0] == [2 ** (13 - t) for t in range(8)]


def test_the_decay_of_a_potential_is_that_of_lava():
    """With du = 0 the current still loses 1 of 4096 in a step, rounded toward zero."""
    published = [8192, 12286, 14331, 15351, 15859, 16111, 16235, 16295]
    assert currents(neuron([128], du=0, dv=2048), FIRST)[1] == published


def test_the_spikes_by_a_bias_are_those_of_lava():
    """A bias of 2 · 2^6 and a threshold of 8 · 2^6: the fifth step exceeds it."""
    spikes = currents(neuron([0], du=0, vth=8, bias=128), [[0]] * 10)[2]
    assert [t for t, z in enumerate(spikes) if z] == [4, 9]


def test_decays_round_toward_zero():
    """-5/2 is -2, where a shift of bits would give -3; -4095 · 4095 / 4096 is -4094.0002."""
    assert decayed(np.array([5, -5, -4095, 4095, -1]), np.array([2048, 2048, 1, 1, 1])).tolist() == [
        2,
        -2,
        -4094,
        4094,
        0,
    ]


def test_a_current_wraps():
    """Five weights of 254 · 2^13 are 10,403,840, beyond 2^23 by 2,015,232: u is -2^23 + that; -2^23 itself is +2^23."""
    assert currents(neuron([254] * 5, exponent=7), [[1] * 5])[0] == [10_403_840 - 2**24]
    assert currents(neuron([-256] * 4, exponent=7), [[1] * 4])[0] == [2**23]
    assert currents(neuron([-256] * 4 + [-2], exponent=7), [[1] * 5])[0] == [2**23 - 2 * 2**13]


def test_a_potential_saturates():
    """Three weights of 254 · 2^13 are 6,242,304, twice that is beyond 2^23 - 1, and no step leads further."""
    assert currents(neuron([254] * 3, exponent=7), [[1] * 3] * 3)[1] == [6_242_304, 2**23 - 1, 2**23 - 1]
    assert currents(neuron([-254] * 3, exponent=7), [[1] * 3] * 3)[1] == [-6_242_304, 1 - 2**23, 1 - 2**23]


def test_a_neuron_spikes_above_its_threshold_and_restarts_from_zero():
    """A weight of 100 · 2^6 and v halved: 6400, 9600, which is the threshold, 11200, and again from 6400."""
    u, v, z = currents(neuron([100], dv=2048, vth=150), [[1]] * 5)
    assert (u, v) == ([6400] * 5, [6400, 9600, 11200, 6400, 9600])
    assert z == [False, False, True, False, False]


def test_recurrent_spikes_arrive_one_step_later():
    """The neuron's own spike at the first step takes 200 · 2^6 off the second."""
    own = Weights(np.array([[-200]]), 0)
    assert currents(neuron([200], dv=0, vth=150, w_rec=own), [[1]] * 3)[1] == [12800, 0, 12800]


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_mantissas_have_their_bits(bits):
    w = np.random.default_rng(0).standard_normal((40, 30)) * 3e4
    made = rounded(w, bits)
    assert (made.mantissas % spacing(bits) == 0).all()
    assert made.mantissas.min() >= -256
    assert made.mantissas.max() <= 256 - spacing(bits)
    assert 1 < len(np.unique(made.mantissas)) <= 2**bits
    inside = np.abs(w) < (256 - spacing(bits)) * 2.0 ** (6 + made.exponent)
    apart = np.abs(value(made) - w)[inside]
    assert apart.max() <= spacing(bits) * 2.0 ** (6 + made.exponent) / 2.0


def network(cell, n_in=30, **options):
    return neko.Model(cell, 5, XP, **options).build(n_in)


SPIKES = (np.random.default_rng(0).random((20, 60, 30)) < 0.2).astype(float)


def test_weights_that_the_chip_has_lose_nothing():
    """Weights c / 128 with whole c from -128 to 127, threshold 1, no leak: every spike is that of the float network."""
    model = network(LIF(40, tau_m=np.inf, reset="zero", autapses=True))
    rng = np.random.default_rng(1)
    for name in ("layers.0.w_in", "layers.0.w_rec"):
        shape = tuple(model.params[name].shape)
        model.params[name] = XP.asarray(rng.integers(-128, 128, shape) / 128.0)
    made = to_loihi(model)
    spikes = model.record(SPIKES)[0].z
    assert 0.05 < spikes.mean() < 0.9
    np.testing.assert_array_equal(made.network.run(SPIKES)[1][0], spikes)
    assert "layers.0.w_in" not in made.report.lost


def test_fewer_bits_lose_more():
    model = network(LIF(64, tau_m=10.0, reset="zero", recurrent=False))
    spikes = model.record(SPIKES)[0].z
    wrong = [float(np.mean(to_loihi(model, bits=bits).network.run(SPIKES)[1][0] != spikes)) for bits in (8, 6, 4)]
    assert spikes.mean() > 0.04
    assert wrong[0] < 0.006 < wrong[1] < wrong[2]


@pytest.mark.parametrize("options", [{}, {"input_scaling": True}])
def test_a_synapse_is_the_current_of_the_chip(options):
    model = network(CubaLIF(64, tau_m=10.0, tau_syn=4.0, v_th=0.1 if options else 2.0, reset="zero", **options))
    model.params["layers.0.w_rec"] = 0.1 * model.params["layers.0.w_rec"]  # else small errors grow
    made, spikes = to_loihi(model).network, model.record(SPIKES)[0].z
    assert made.layers[0].du.tolist() == [round(4096 * (1 - np.exp(-1 / 4.0))) - 1] * 64
    assert 0.01 < spikes.mean() < 0.5
    assert np.mean(made.run(SPIKES)[1][0] != spikes) < 0.25 * spikes.mean()


def test_outputs_are_those_of_the_readout():
    """For the chip's own spikes, to the error of weights with 8 bits: ``f_t = κ f_{t-1} + z_t W``."""
    model = network(LIF(64, tau_m=10.0, reset="zero", recurrent=False))
    model.params["readout.b_out"] = XP.asarray([0.5, -1.0, 0.0, 0.0, 2.0])
    made = to_loihi(model).network
    y, (z,) = made.run(SPIKES)
    f, w = np.zeros((20, 5)), XP.to_numpy(model.params["readout.w_out"])
    for t in range(60):
        f = np.exp(-1.0 / 20.0) * f + z[:, t] @ w
        np.testing.assert_allclose(y[:, t], f + made.b_out, atol=0.03)
    assert np.abs(f).max() > 1.0


def test_the_reach_of_a_current_bounds_it():
    """With all inputs at every step the current rises to it, less what decays lose by rounding; and none wraps."""
    model = network(CubaLIF(16, tau_syn=20.0, reset="zero", recurrent=False), n_in=200)
    model.params["layers.0.w_in"] = XP.abs(model.params["layers.0.w_in"])
    layer = to_loihi(model).network.layers[0]
    u, v, z = np.zeros((1, 16), np.int64), np.zeros((1, 16), np.int64), np.zeros((1, 16), bool)
    for _ in range(400):
        u, v, z = layer.advance(u, v, np.ones((1, 200)), z)
    assert (u <= layer.reach()).all()
    assert (u > 0.999 * layer.reach()).all()
    assert layer.reach().max() < LIMIT


def test_constants_of_every_neuron_and_those_that_learn():
    model = network(LIF(3, tau_m=[5.0, 10.0, 20.0], v_th=Learnable(0.5), reset="zero", bias=True))
    model.params["layers.0.b"] = XP.asarray([0.125, -0.25, 0.0])
    model.params["layers.0.constants.v_th"] = XP.asarray([np.log(2.0)])  # the threshold is 1
    layer = to_loihi(model).network.layers[0]
    assert layer.dv.tolist() == [round(4096 * (1 - np.exp(-1 / tau))) for tau in (5.0, 10.0, 20.0)]
    assert len(set(layer.vth.tolist())) == 1
    np.testing.assert_allclose(layer.bias / (layer.vth * 64.0), [0.125, -0.25, 0.0], rtol=5e-4)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (ALIF(4, reset="zero"), "layers.0 is ALIF"),
        (AdEx(4), "layers.0 is AdEx"),
        (LIF(4), r"layers.0 is LIF with reset='subtract'"),
        (LIF(4, reset="zero", t_ref=3.0), "t_ref=3.0"),
        (CubaLIF(4, reset="zero", bias=True), "bias before its synapse"),
        (LIF(2, reset="zero", v_th=[1e-6, 1e6]), "17 bits"),
    ],
)
def test_what_the_chip_does_not_have_is_refused_by_name(cell, told):
    with pytest.raises(ExchangeError, match=told):
        to_loihi(network(cell))


def test_other_inputs_and_options_are_refused():
    model = network(LIF(4, reset="zero"))
    with pytest.raises(ExchangeError, match="expected spikes, 0 or 1"):
        to_loihi(model).network.run(0.5 * SPIKES)
    for bits in (1, 9, 8.0):
        with pytest.raises(ValueError, match="bits="):
            to_loihi(model, bits=bits)
    with pytest.raises(ExchangeError, match="no converters"):
        to_loihi(network(LIF(4, reset="zero"), converters=neko.Converters(adc=neko.Quantiser(8, 4.0))))


@pytest.mark.slow
def test_a_run_is_exported_with_its_accuracies(tmp_path):
    run = ["--encoder", "rate(steps=4)", "--cell", "lif(reset='zero')", "--epochs", "1", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["train", "--data", few_digits.DATA, *run])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["export", str(tmp_path / "run"), "--loihi", str(tmp_path / "net.npz")])
    assert result.exit_code == 0, result.output
    for word in ("8-bit weights", "4-bit weights", "float32", "accuracy"):
        assert word in result.output
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        assert arrays["layers.0.w_in"].dtype == np.int16
        assert arrays["layers.0.dv"].max() <= 4095
