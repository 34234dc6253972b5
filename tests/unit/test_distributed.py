"""Several processes, or devices, train together what one trains by itself."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

import neko
import together
from neko.io import checkpoint

pytest.importorskip("torch")

QUICK = ("bptt", "kernl", "online", "mean", "devices")
"""Of the ways in which a rule may depend on a batch one each."""
OTHERS = tuple(name for name in together.rules() if name not in QUICK)


def trained(folder, names):
    """What each of two processes has after training by rules, by name."""
    for code, output in together.launch(2, "rules", "torch", folder, *names):
        assert code == 0, output
    return {name: [loaded(folder, name, rank) for rank in range(2)] for name in names}


def loaded(folder, name, rank=0):
    with np.load(folder / f"{name.replace(':', '-')}-{rank}.npz") as file:
        return dict(file)


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-7, atol=1e-10, err_msg=key)


@pytest.mark.parametrize(
    "names", [pytest.param(QUICK, id="quick"), pytest.param(OTHERS, id="others", marks=pytest.mark.slow)]
)
def test_two_processes_train_as_one(tmp_path, names):
    """In one test, since processes take longer to start than to train."""
    for name, (first, second) in trained(tmp_path, names).items():
        for key, value in first.items():
            np.testing.assert_array_equal(second[key], value, err_msg=f"{name}: {key}")
        assert_close(first, together.train(name, "torch"))


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), [(1, 2), (2, 1)])
def test_devices_of_jax_train_as_one(tmp_path, processes, devices):
    pytest.importorskip("jax")
    names, flags = ["bptt", "eprop:random", "reward_stdp"], f"--xla_force_host_platform_device_count={devices}"
    hosts = {"JAX_COORDINATOR_ADDRESS": f"localhost:{together.port()}", "JAX_NUM_PROCESSES": processes}
    variables = hosts if processes > 1 else {}
    for code, output in together.launch(processes, "rules", "jax", tmp_path, *names, XLA_FLAGS=flags, **variables):
        assert code == 0, output
    for name in names:
        assert_close(loaded(tmp_path, name), together.train(name, "jax"))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_a_checkpoint_of_two_processes_goes_on_with_one_and_three(tmp_path, processes):
    expected = together.long_run(tmp_path / "whole", 6)
    for code, output in together.launch(2, "long", tmp_path / "kept", 3, 0.0):
        assert code == 0, output
    checkpoint.listed(tmp_path / "kept")[-1].unlink()  # the one before it is within an epoch
    found = together.launch(processes, "long", tmp_path / "kept", 6, 0.0)
    for code, output in found:
        assert code == 0, output
        np.testing.assert_allclose([float(value) for value in output.split()], expected, rtol=1e-7)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_a_clear_word_and_a_whole_checkpoint(tmp_path):
    started = together.launch(2, "long", tmp_path, 1000, 0.05, wait=False)
    while len(checkpoint.listed(tmp_path)) < 3:
        assert all(process.poll() is None for process in started)
        time.sleep(0.05)
    os.kill(started[1].pid, signal.SIGKILL)
    (code, output), _ = together.finished(started)
    assert code not in (0, None)
    assert "process 0 lost the others" in output
    assert "start the run again with resume" in output
    done = checkpoint.read(checkpoint.listed(tmp_path)[-1])["position"]["epoch"]
    assert len(together.long_run(tmp_path, done + 1)) == done + 1


@pytest.mark.slow
def test_the_command_line_under_torchrun(tmp_path):
    options = ["train", "--data", "digits", "--epochs", 2, "--hidden", 16, "--backend", "torch", "--distributed"]
    found = together.launch(2, "-m", "neko", *options, "--out", tmp_path / "run", script=None)
    assert [code for code, _ in found] == [0, 0], found
    assert "Run:" in found[0][1]
    assert not found[1][1].strip()
    alone = neko.runs.run(neko.runs.read_config(tmp_path / "run" / "config.yaml"), tmp_path / "alone", progress=False)
    together_history = neko.History.load(tmp_path / "run" / "history.csv")
    np.testing.assert_allclose(together_history["loss"], alone.history["loss"], rtol=1e-4)


def test_what_cannot_be_divided_is_refused(monkeypatch):
    x, y, mask = together.data("bptt")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match=r"RANK.*torchrun"):
        together.train("bptt", "torch", distributed=True)
    model = together.learner("bptt", "torch").model
    for rule, why in [
        (neko.Eprop(model, chunk=4, stream=True), "stream"),
        (neko.Langevin(together.learner("stdp", "torch").model), "no learning rule"),
    ]:
        with pytest.raises(ValueError, match=why):
            neko.Trainer(rule).train(x, y, mask, distributed=True, progress=False)


def test_tensorflow_runs_by_itself():
    pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match="tensorflow runs by itself"):
        neko.distributed.start(neko.backend.get("tensorflow"))


@pytest.mark.slow
def test_processes_with_other_options_are_refused(tmp_path):
    script = tmp_path / "other.py"
    script.write_text(
        "import os, neko, together\n"
        "rule = neko.BPTT(together.learner('bptt', 'torch').model, learning_rate=0.1 * (1 + int(os.environ['RANK'])))\n"
        "neko.Trainer(rule).train(*together.data('bptt'), distributed=True, progress=False)\n"
    )
    for code, output in together.launch(2, script=script):
        assert code != 0
        assert "process 1 has not the learning_rate of process 0" in output
