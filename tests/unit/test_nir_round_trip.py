"""Networks to NIR and back: equal spikes, bit for bit; a report of what others do not get; other libraries' readers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import neko
from neko.cells import ALIF, GRU, LIF, CubaLIF, Dendritic
from neko.errors import ExchangeError
from neko.exchange import from_nir, to_nir
from neko.io import hdf5

pytest.importorskip("h5py")
nir = pytest.importorskip("nir")

MANY = np.linspace(5.0, 40.0, 6).round(2).tolist()
STEADY = {"recurrent": False, "v_th": 0.4}
NETWORKS = {
    "lif": ([LIF(6, tau_m=20.0)], {}),
    "zero reset": ([LIF(6, tau_m=20.0, reset="zero", input_scaling=True, v_th=0.1)], {"tau_out": None}),
    "per neuron": ([LIF(6, tau_m=MANY, v_th=[0.1 * m for m in MANY], t_ref=3.0, dt=0.5)], {"readout_scaling": True}),
    "feedforward": ([LIF(6, tau_m=7.3, reset="zero", **STEADY)], {"tau_out": 13.7}),
    "no leak": ([LIF(6, tau_m=math.inf, reset="zero", bias=True)], {}),
    "biased stack": ([LIF(6, bias=True, autapses=True), LIF(5, **STEADY), LIF(4, **STEADY)], {"tau_out": 30.0}),
    "synapse": ([CubaLIF(6, tau_m=20.0, tau_syn=3.3, bias=True), CubaLIF(5, v_th=0.3)], {}),
    "scaled synapse": ([CubaLIF(6, tau_m=MANY, input_scaling=True, v_th=0.05, reset="zero")], {"tau_out": None}),
    "alif": ([ALIF(6, tau_m=20.0, beta=MANY), ALIF(5, tau_a=77.7, input_scaling=True, v_th=0.02)], {}),
}


def network(name, xp):
    cells, options = NETWORKS[name]
    model = neko.Model(cells, 3, xp, seed=5, **options).build(4)
    for key, w in model.params.items():
        if key.endswith((".b", "b_out")):
            model.params[key] = w + xp.asarray(0.1 * np.random.default_rng(0).random(w.shape))
    return model


@pytest.mark.quick("torch")
@pytest.mark.parametrize("name", NETWORKS)
def test_there_and_back_spikes_are_equal(name, xp, tmp_path):
    """Constants of at most 15 digits are those that they were, and so are outputs and potentials."""
    model = network(name, xp)
    file = tmp_path / "net.nir"
    to_nir(model, file, alif=name == "alif")
    back = from_nir(file, xp).model
    x = 2.0 * np.random.default_rng(2).standard_normal((2, 60, 4))
    pairs = list(zip(model.record(x), back.record(x), strict=True))
    assert len(pairs) == len(model.cells)
    for before, after in pairs:
        assert 0.005 < before.z.mean() < 0.9
        np.testing.assert_array_equal(after.z, before.z)
        np.testing.assert_array_equal(after.v, before.v)
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    nir.read(file)  # the package's own checks of shapes and edges


def test_there_and_back_by_forward_euler(tmp_path):
    """A file for readers with 1 - dt/τ has other time constants, and the same decays: 20 ms are 1 / (1 - α) = 20.504 ms
    for dt = 1 ms."""
    model = network("lif", neko.backend.get("torch", dtype="float64"))
    to_nir(model, tmp_path / "net.nir", method="euler")
    (tau,) = set(hdf5.read(tmp_path / "net.nir")["node"]["nodes"]["layers.0"]["tau"])
    assert tau == pytest.approx(1e-3 / (1.0 - math.exp(-0.05)), rel=1e-12)
    back = from_nir(tmp_path / "net.nir", model.xp).model
    x = 2.0 * np.random.default_rng(2).standard_normal((2, 60, 4))
    np.testing.assert_array_equal(back.record(x)[0].z, model.record(x)[0].z)
    np.testing.assert_allclose(back.record(x)[0].v, model.record(x)[0].v, rtol=1e-9, atol=1e-9)


def test_a_constant_that_learns_is_written_as_its_value(tmp_path):
    model = neko.Model(LIF(6, tau_m=neko.Learnable(20.0, spread=2.0)), 3, "torch").build(4)
    report = to_nir(model, tmp_path / "net.nir")
    tau = 1e3 * hdf5.read(tmp_path / "net.nir")["node"]["nodes"]["layers.0"]["tau"]
    np.testing.assert_allclose(tau, model.constants["layers.0.tau_m"], rtol=1e-6)
    assert "tau_m can learn" in report.lost["layers.0"]


def test_the_report_says_what_others_do_not_get(tmp_path):
    model = neko.Model([LIF(6, t_ref=3.0, surrogate="arctan"), LIF(5, reset="zero")], 3, "torch").build(4)
    report = to_nir(model, tmp_path / "net.nir")
    assert report.lost.keys() == {"layers.0"}
    for word in ("reset by subtraction", "refractory period", "surrogate gradient"):
        assert word in report.lost["layers.0"]
    lines = report.save(tmp_path / "report.csv").read_text().splitlines()
    assert lines[0] == "node,type,kept,lost"
    assert len(lines) == 1 + len(report.entries)
    others = hdf5.read(tmp_path / "net.nir")["node"]["nodes"]
    assert others["layers.0"]["metadata"]["neko_reset"] == "subtract"
    assert "metadata" not in others["layers.1"]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: neko.Model(ALIF(3), 2, "torch").build(4), r"layers.0 is ALIF: .*expected alif=True"),
        (lambda: neko.Model(GRU(3), 2, "torch").build(4), "layers.0 is GRU: NIR has no such neuron"),
        (lambda: neko.Model([LIF(3), Dendritic(3)], 2, "torch").build(4), "layers.1 is Dendritic"),
        (lambda: neko.Model(CubaLIF(3, tau_m=math.inf), 2, "torch").build(4), "CubaLIF with tau_m=inf"),
        (lambda: neko.Model(LIF(3), 2, "torch", bidirectional=True).build(4), "expected a built neko.Model of one dir"),
        (lambda: neko.Model(LIF(3), 2, "torch"), "expected a built neko.Model"),
    ],
)
def test_what_nir_has_no_node_for_is_refused(model, told, tmp_path):
    with pytest.raises(ExchangeError, match=told):
        to_nir(model(), tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_an_adaptive_neuron_that_a_sub_graph_cannot_hold_is_refused(tmp_path):
    for options in ({"reset": "zero"}, {"t_ref": 5.0}):
        model = neko.Model(ALIF(3, **options), 2, "torch").build(4)
        with pytest.raises(ExchangeError, match="its sub-graph can only subtract"):
            to_nir(model, tmp_path / "net.nir", alif=True)


def test_the_weights_of_missing_autapses_are_not_written(tmp_path):
    model = neko.Model(LIF(6), 3, "torch").build(4)
    assert np.diagonal(model.params["layers.0.w_rec"]).all()
    to_nir(model, tmp_path / "net.nir")
    assert not np.diagonal(hdf5.read(tmp_path / "net.nir")["node"]["nodes"]["layers.0.w_rec"]["weight"]).any()
