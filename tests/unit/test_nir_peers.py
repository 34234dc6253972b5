"""Networks from and to other libraries, where these are installed: equal spikes, by their discretisation."""

from __future__ import annotations

import numpy as np
import pytest

import neko
from neko.exchange import from_nir, to_nir

nir = pytest.importorskip("nir")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")
XP = neko.backend.get("torch", dtype="float64")
X = (np.random.default_rng(0).random((1, 200, 5)) < 0.4).astype(np.float32)


def simulated(step):
    """Spikes (time, n) of another library; `step` takes an input and a state, and gives spikes and the next state."""
    state, spikes = None, []
    for x in torch.tensor(X[0]):
        z, state = step(x[None], state)
        spikes.append(z.detach().numpy()[0])
    found = np.array(spikes)
    assert 0.01 < found.mean() < 0.9
    return found


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
def test_snntorch_writes_what_is_read(kind, reset, tmp_path):
    """Its exporter has a dt of 0.1 ms and forward Euler, and no word on the reset."""
    snn = pytest.importorskip("snntorch")
    export = pytest.importorskip("snntorch.export_nir")
    torch.manual_seed(0)
    own = {"beta": torch.full((8,), 0.9), "threshold": torch.ones(8), "reset_mechanism": reset}
    own |= {"reset_delay": reset == "subtract"} | ({"alpha": torch.full((8,), 0.7)} if kind == "Synaptic" else {})
    linear, neuron = torch.nn.Linear(5, 8), getattr(snn, kind)(**own)
    nir.write(tmp_path / "net.nir", export.export_to_nir(torch.nn.Sequential(linear, neuron), torch.ones(5)))
    model = from_nir(tmp_path / "net.nir", XP, dt=0.1, method="euler", reset=reset).model

    def step(x, state):
        if state is None:
            state = neuron.reset_mem() if kind == "Synaptic" else (neuron.reset_mem(),)
        z, *after = neuron(linear(x), *state)
        return z, after

    np.testing.assert_array_equal(model.record(X)[0].z[0], simulated(step))


def test_norse_reads_what_is_written(tmp_path):
    norse = pytest.importorskip("norse.torch")
    cell = neko.cells.LIF(6, tau_m=20.0, reset="zero", input_scaling=True, v_th=0.1, recurrent=False)
    model = neko.Model(cell, 6, XP, tau_out=None).build(5)
    model.params["readout.w_out"] = torch.eye(6, dtype=torch.float64)
    to_nir(model, tmp_path / "net.nir", method="euler")
    theirs = norse.from_nir(nir.read(tmp_path / "net.nir"), dt=1e-3)
    np.testing.assert_array_equal(model.predict(X)[0], simulated(theirs))


def test_norse_writes_what_is_read(tmp_path):
    """Its exporter multiplies τ = 20 ms by its dt of 0.001 s, so that the file's dt is 0.001 s times that."""
    norse = pytest.importorskip("norse.torch")
    torch.manual_seed(0)
    own = {"v_leak": torch.zeros(6), "v_th": torch.full((6,), 0.02), "v_reset": torch.zeros(6)}
    cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.full((6,), 50.0), **own))
    linear = torch.nn.Linear(5, 6)
    nir.write(tmp_path / "net.nir", norse.to_nir(torch.nn.Sequential(linear, cell), torch.ones(5)))
    model = from_nir(tmp_path / "net.nir", XP, dt=1.0e-3, method="euler").model
    np.testing.assert_array_equal(model.record(X)[0].z[0], simulated(lambda x, state: cell(linear(x), state)))
