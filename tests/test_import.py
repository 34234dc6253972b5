"""What importing neko does, and does not do, to a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neko import backend


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_neko_loads_no_framework():
    code = (
        "import sys, neko, neko.backend;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'jax', 'tensorflow', 'keras', 'optax'}))"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "tensorflow")) for n in backend.installed()]
)
def test_a_backend_loads_its_own_framework_only(name):
    loaded = "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'jax', 'tensorflow'}))"
    # TensorFlow looks for JAX by itself; neko adds nothing to what the framework loads.
    alone = run(f"import sys, {name}; {loaded}")
    assert run(f"import sys, neko; neko.backend.get({name!r}); {loaded}") == alone


@pytest.mark.slow
def test_all_backends_live_in_one_process_and_change_no_global_state():
    for name in ("torch", "jax"):
        pytest.importorskip(name)
    code = (
        "import neko;"
        "[neko.backend.get(n, dtype=d).zeros((2,)) for n in neko.backend.installed() for d in ('float32', 'float64')];"
        "import torch, jax;"
        "print(torch.get_default_dtype(), jax.config.jax_enable_x64, jax.numpy.zeros(1).dtype)"
    )
    assert run(code).splitlines()[-1] == "torch.float32 False float32"


@pytest.mark.parametrize(
    "optimizer", ["adam", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sgd", "adamw"))]
)
def test_training_on_pytorch_does_not_load_its_compiler(optimizer):
    pytest.importorskip("torch")
    code = (
        "import sys, numpy as np, neko;"
        "model = neko.Evaluator(neko.LIF(4, 2, 'torch'), loss='categorical_crossentropy');"
        f"trainer = neko.Trainer(neko.Eprop(model, optimizer={optimizer!r}));"
        "trainer.train(np.ones((6, 5, 3)), np.eye(2)[[0, 1, 1] * 2], batch_size=3, epochs=2, progress=False);"
        "print('torch.optim' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    assert run(code) == "True False"


def test_a_missing_framework_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'neko-learning\[torch\]'"):
        backend.get("torch", device="cpu:1")


def test_unknown_names_list_the_right_ones():
    with pytest.raises(ValueError, match=r"'tensorflo'.*'torch', 'jax', 'tensorflow'"):
        backend.get("tensorflo")
    with pytest.raises(ValueError, match=r"'float16'.*'float32', 'float64'"):
        backend.get("torch", dtype="float16")


def test_every_public_name_is_there_and_documented():
    import neko

    assert len(neko.__all__) > 5
    for name in neko.__all__:
        if not name.startswith("__"):
            assert getattr(neko, name).__doc__, name


def test_half_a_backend_says_what_is_missing(monkeypatch):
    """PyTorch without array-api-compat, JAX without optax: none is installed, and the default is another one."""
    find = backend.importlib.util.find_spec
    monkeypatch.setattr(
        backend.importlib.util, "find_spec", lambda name: None if name in ("array_api_compat", "optax") else find(name)
    )
    assert set(backend.installed()) <= {"tensorflow"}
    for name, missing in (("torch", "array_api_compat"), ("jax", "optax")):
        with pytest.raises(ImportError, match=rf"needs {missing}, .* pip install 'neko-learning\[{name}\]'"):
            backend.get(name, device="cpu:0")


def test_the_default_is_the_first_that_is_installed(monkeypatch):
    for there in (["tensorflow"], ["jax", "optax", "tensorflow"], ["torch", "array_api_compat", "tensorflow"]):
        monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name, there=there: name in there or None)
        assert backend.default() == there[0]
        assert run_config().backend == there[0]
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    for default in (backend.default, run_config):
        with pytest.raises(ImportError, match=r"no framework is installed: .*pip install 'neko-learning\[torch\]'"):
            default()


def run_config():
    """A configuration with nothing chosen."""
    from neko.runs.config import TrainConfig

    return TrainConfig()


def test_importing_neko_loads_nothing_that_is_optional():
    code = (
        "import sys, neko, neko.cli, neko.runs, neko.runs.folder, neko.datasets, neko.bayes, neko.plots;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'scipy', 'sklearn', 'pandas', 'arviz', 'tensorboardX', 'torch', 'jax', 'tensorflow', 'keras'}))"
    )
    assert run(code) == "[]"
