"""Networks from NIR: the arithmetic of a step written out, published traces, and what is refused."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import neko
from neko.errors import ExchangeError
from neko.exchange import from_nir
from neko.io import hdf5, nir

from nir_graphs import alone, cuba, graph, imported, lif

pytest.importorskip("h5py")
pytest.importorskip("nir")
DATA = Path(os.environ.get("NEKO_DATA", "none")) / "nir"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder nir of NEKO_DATA")
XP = neko.backend.get("torch", dtype="float64")


def spikes(model, x):
    """The steps, from 1, at which the first neuron of the first layer spikes."""
    return (np.flatnonzero(model.record(x)[0].z[0, :, 0]) + 1).tolist()


@pytest.mark.parametrize(("dt", "r"), [(1000.0, 1.0), (1.0, 1000.0), (0.1, 1e4)])
def test_an_integrator_keeps_what_it_gets(dt, r):
    """IF: v_t = v_{t-1} + dt R I. With dt R = 1 and I = 1/16, v_16 = 1 exactly, which is not above the threshold of 1,
    and v_17 = 17/16 is; then v starts from 0 again."""
    own = {"r": [r], "v_threshold": [1.0], "v_reset": [0.0]}
    model = imported(alone(("IF", own)), XP, dt=dt)
    x = np.full((1, 40, 1), 0.0625)
    v = model.record(x)[0].v[0, :, 0]
    np.testing.assert_array_equal(v[:17], np.arange(1, 18) / 16)
    assert spikes(model, x) == [17, 34]


@pytest.mark.parametrize(("method", "alpha"), [("exponential", np.exp(-0.5 / 20.0)), ("euler", 1.0 - 0.5 / 20.0)])
def test_tau_is_in_seconds_and_dt_in_milliseconds(method, alpha):
    """τ = 0.02 s and dt = 0.5 ms: v_t = α v_{t-1} + (1 - α) R I, so v_t = R I (1 - α^t)."""
    made = alone(lif(r=[3.0], v_threshold=[100.0]), weight=2.0)
    v = imported(made, XP, dt=0.5, method=method).record(np.ones((1, 30, 1)))[0].v[0, :, 0]
    np.testing.assert_allclose(v, 6.0 * (1.0 - alpha ** np.arange(1, 31)), rtol=1e-12)


@pytest.mark.parametrize("method", ["exponential", "euler"])
def test_the_scales_of_a_synapse_leave_the_threshold_alone(method):
    """w_in = 3 is not τ_syn / dt = 5, and R = 7 is not τ_mem / dt = 20:
    i_t = α_s i_{t-1} + (1 - α_s) w_in S, v_t = α v_{t-1} (1 - z_{t-1}) + (1 - α) R i_t, z_t = 1[v_t > v_threshold]."""
    a, a_s = (np.exp(-1 / 20), np.exp(-1 / 5)) if method == "exponential" else (1 - 1 / 20, 1 - 1 / 5)
    model = imported(alone(cuba(w_in=[3.0], r=[7.0], v_threshold=[0.9])), XP, dt=1.0, method=method)
    s = (np.random.default_rng(0).random(200) < 0.3).astype(float)
    i = v = z = 0.0
    expected = []
    for t in range(200):
        i = a_s * i + (1 - a_s) * 3.0 * s[t]
        v = a * v * (1 - z) + (1 - a) * 7.0 * i
        z = float(v > 0.9)
        expected.append((v, z))
    found = model.record(s[None, :, None])[0]
    assert 10 < sum(z for _, z in expected) < 100
    np.testing.assert_array_equal(found.z[0, :, 0], [z for _, z in expected])
    np.testing.assert_allclose(found.v[0, :, 0], [v for v, _ in expected], rtol=1e-11)


def test_potentials_count_from_the_reset_potential():
    """τ dv/dt = v_leak - v + R I from v = v_reset = -2 with a leak to -1 and a threshold of 0.5: u = v + 2 settles at
    1 + R I, and spikes above 2.5."""
    one = np.ones(1)
    for drive, alive in ((1.4, False), (1.6, True)):
        made = alone(lif(v_leak=-one, v_reset=-2 * one, v_threshold=0.5 * one), weight=drive)
        model = imported(made, XP, dt=1.0)
        u = model.record(np.ones((1, 400, 1)))[0].v[0, :, 0]
        assert bool(u.max() > 2.5) is alive
        np.testing.assert_allclose(u[0], (1.0 - np.exp(-1 / 20)) * (1.0 + drive), rtol=1e-12)


def trace(name):
    """Input spikes, membrane and output spikes of a simulator."""
    with (DATA / f"lif_{name}.csv").open() as file:
        return np.array([[float(value) for value in row] for row in csv.reader(file)]).T


OTHERS = {
    "norse": 1.0,
    "snntorch": 0.04,
    "nengo": 0.1,
    "lava_cpu_float": 1.0,
    "lava_loihi_fixed": 1 / 16_000,
    "rockpool": 1.0,
    "sinabs": 1.0,
    "spyx": 1.0,
}
"""Simulators, and the scale of their membranes."""


@needs_data
@pytest.mark.parametrize("method", ["exponential", "euler"])
def test_one_neuron_does_what_it_does_in_nine_simulators(method):
    """Exact decays give the exact solution up to the first spike, after which that one is reset within a step; in all,
    both methods deviate less than half of the others, and spike when most do."""
    x, v, z = trace("exact")
    model = from_nir(DATA / "lif_norse.nir", XP, dt=0.1, method=method).model
    found = model.record(x[None, :, None])[0]
    assert z.sum() == 4
    np.testing.assert_array_equal(found.z[0, :, 0], z)
    after = (found.v * (1.0 - found.z))[0, :, 0]
    first = np.flatnonzero(z)[0]
    assert bool(np.abs(after - v)[:first].max() < 1e-8) is (method == "exponential")
    spread = [np.sqrt(np.mean((scale * trace(name)[1] - v) ** 2)) for name, scale in OTHERS.items()]
    assert np.sqrt(np.mean((after - v) ** 2)) < np.median(spread)
    times = np.array([np.flatnonzero(trace(name)[2]) for name in OTHERS])
    assert (times.min(axis=0) <= np.flatnonzero(z)).all()
    assert (times.max(axis=0) >= np.flatnonzero(z)).all()


@needs_data
@pytest.mark.parametrize(("name", "reset"), [("bias_zero", "zero"), ("noBias_subtract", "subtract")])
def test_a_recurrent_classifier_computes_what_its_library_does(name, reset):
    """snnTorch's step: syn = α syn + W x + V z + b, mem = β mem + syn - reset, by the constants of the files, of which
    dt is 0.1 ms: gains (dt/τ_syn) w_in and (dt/τ_mem) R are 1."""
    file = DATA / f"braille_noDelay_{name}.nir"
    nodes = nir.read(file)["nodes"]
    x = 2.0 * np.random.default_rng(1).standard_normal((1, 100, 12))
    model = from_nir(file, XP, dt=0.1, method="euler", reset=reset).model
    drive = x[0]
    for lin, rec, key, found in (("fc1", "lif1.w_rec", "lif1.lif", 0), ("fc2", None, "lif2", 1)):
        alpha, beta = 1 - 1e-4 / nodes[key]["tau_syn"], 1 - 1e-4 / nodes[key]["tau_mem"]
        into = drive @ nodes[lin]["weight"].astype(float).T + nodes[lin].get("bias", 0.0)
        v = None if rec is None else nodes[rec]["weight"].astype(float)
        syn = mem = z = np.zeros(len(alpha))
        zs = []
        for t in range(100):
            back = 0.0 if rec is None else v @ z + nodes[rec].get("bias", 0.0)
            syn = alpha * syn + into[t] + back
            mem = beta * mem * (1 - z) + syn if reset == "zero" else beta * mem + syn - z
            z = (mem > 1.0).astype(float)
            zs.append(z)
        assert 0.02 < np.mean(zs) < 0.9
        np.testing.assert_array_equal(model.record(x)[found].z[0], zs)
        drive = np.array(zs)
    np.testing.assert_array_equal(model.predict(x)[0], drive)


@needs_data
@pytest.mark.parametrize("name", ["bias_zero", "noBias_subtract"])
def test_a_nested_graph_is_the_flat_one(name):
    """The nested files name a node that is not there, and are refused; with the right name they are the flat one."""
    broken = DATA / f"braille_noDelay_{name}_subgraph.nir"
    with pytest.raises(ExchangeError, match=r"graph 'lif1' has the edge \('input', 'lif'\), but no node 'lif'"):
        from_nir(broken, XP, dt=0.1)
    made = hdf5.read(broken)["node"]
    inner = made["nodes"]["lif1"]["nodes"]
    inner["lif"] = inner.pop("lif1")
    made["nodes"]["lif1"]["edges"][-1] = ["lif", "output"]
    nested = imported(made, XP, dt=0.1)
    flat = from_nir(DATA / f"braille_noDelay_{name}.nir", XP, dt=0.1).model
    assert nested.identity() == flat.identity()
    for key, w in flat.params.items():
        np.testing.assert_array_equal(nested.params[key], w, err_msg=key)


@needs_data
def test_two_neurons_in_a_chain():
    """The first leaks to 1.2 above its threshold of 1 and spikes by itself: (1 - α^t) 1.2 > 1 first for
    t > 10 ms ln 6 = 17.9 ms."""
    model = from_nir(DATA / "two_lif_neurons.nir", XP, dt=0.1).model
    assert len(model.cells) == 2
    assert spikes(model, np.zeros((1, 400, 1))) == [180, 360]


def changed(node, **changes):
    made = alone(lif())
    made["nodes"][node] |= changes
    return made


def with_node(kind, **own):
    return graph(
        "inp w, w a, a b, b out",
        inp=("Input", {"shape": [1]}),
        w=("Linear", {"weight": np.eye(1)}),
        a=lif(),
        b=(kind, own),
        out=("Output", {"shape": [1]}),
    )


SIDE = {"inp": ("Input", {"shape": [1]}), "a": lif(), "b": lif(), "out": ("Output", {"shape": [1]})}
ONE = {name: SIDE[name] for name in ("inp", "a", "out")}
LEAKY = {"tau": [0.02], "r": [1.0], "v_leak": [0.0]}
REFUSED = {
    "delay": (with_node("Delay", delay=[1.0]), "node 'b' is a Delay"),
    "threshold": (with_node("Threshold", threshold=[1.0]), "node 'b' is a Threshold"),
    "convolution": (with_node("SumPool2d", kernel_size=[2], stride=[2], padding=[0]), "node 'b' is a SumPool2d"),
    "leak behind a synapse": (alone(cuba(v_leak=np.ones(1))), "node 'a' .CubaLIF.: v_leak differs from v_reset"),
    "leak of the readout": (with_node("LI", **LEAKY | {"v_leak": [1.0]}), "node 'b' .LI.: it has a bias, a v_leak"),
    "threshold below": (alone(lif(v_threshold=np.zeros(1))), "node 'a' .LIF.: expected v_threshold above v_reset"),
    "no time constant": (alone(lif(tau=np.zeros(1))), "node 'a': a time constant of 0 ms"),
    "not finite": (alone(lif(r=np.full(1, np.nan))), "node 'a' .LIF.: r is no array of finite numbers"),
    "images": (alone(lif(4, tau=np.full((2, 2), 0.02)), n=4), r"tau has shape \(2, 2\): expected \(4,\)"),
    "two axes": (changed("inp", shape=np.array([2, 2])), "node 'inp' .Input. has shape .2, 2.: expected one axis"),
    "weights": (changed("w", weight=np.ones((2, 1))), r"node 'a' gets weights of shape \(2, 1\) from 'inp'"),
    "outputs": (changed("out", shape=np.array([3])), r"node 'out' gets weights of shape .* expected \(3, 1\)"),
    "side by side": (graph("inp a, inp b, a out, b out", **SIDE), r"'inp' feeds \['a', 'b'\] side by side"),
    "around": (graph("inp a, a b, b out, a out", **SIDE), r"node 'out' is fed by \['a', 'b'\]"),
    "back": (graph("inp a, a b, b a, b out", **SIDE), r"node 'a' is fed by \['b', 'inp'\]"),
    "alone": (graph("inp a, a out, b b", **SIDE), r"neurons \['b'\] are not reached"),
    "no neuron": (graph("inp out", inp=SIDE["inp"], out=SIDE["out"]), "are not reached"),
    "infinite": (
        graph("inp p, p a, a out", p=("Scale", {"scale": [np.inf]}), **ONE),
        "node 'p' .Scale.: scale is no array of finite numbers",
    ),
    "overflow": (
        graph("inp p, p q, q a, a out", p=("Scale", {"scale": [1e200]}), q=("Scale", {"scale": [1e200]}), **ONE),
        "layers.0.w_in is not finite",
    ),
    "cycle": (
        graph("inp p, p p, p a, a out", p=("Scale", {"scale": [1.0]}), **ONE),
        r"nodes \['p', 'p'\] are a cycle without a neuron",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_lost_is_refused_by_name(case, monkeypatch):
    made, told = REFUSED[case]
    monkeypatch.setattr(nir, "read", lambda path: made)
    with pytest.raises(ExchangeError, match=told):
        from_nir("net.nir", XP, dt=1.0)


def test_what_is_missing_is_asked_for(tmp_path):
    file = nir.write(tmp_path / "net.nir", alone(lif()))
    with pytest.raises(ValueError, match="a NIR graph has no dt: expected dt=…"):
        from_nir(file, XP)
    with pytest.raises(ValueError, match="method='backward': expected one of"):
        from_nir(file, XP, dt=1.0, method="backward")
    with pytest.raises(ExchangeError, match="reset='hard': expected one of"):
        from_nir(file, XP, dt=1.0, reset="hard")
    with pytest.raises(
        ExchangeError, match=r"forward Euler with dt=20\.0 ms and a time constant of 20 ms does not decay"
    ):
        from_nir(file, XP, dt=20.0, method="euler")
    with pytest.raises(FileNotFoundError, match=r"no file .*none.nir"):
        from_nir(tmp_path / "none.nir", XP, dt=1.0)
