"""Fixtures: every installed backend, in double precision; what needs a package that is not installed is skipped."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import shutil
import signal
import tempfile

import pytest

from neko import backend as backends

OPTIONAL = (
    *("array_api_compat", "arviz", "blackjax", "gymnasium", "h5py", "hatchling", "jax", "kaldi_native_fbank", "keras"),
    *("nir", "optax", "pandas", "scipy", "sklearn", "tensorboardX", "tensorflow", "torch"),
)
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as in the background of a shell, where Ctrl-C would test nothing
    signal.signal(signal.SIGINT, signal.default_int_handler)
MISSING = {name for name in OPTIONAL if importlib.util.find_spec(name) is None}
BACKENDS = backends.installed()
# What a backend runs in every test run, by parameter; the rest is left to `make proofs`. Compiling many cells is slow,
# and so is a long chain where it does not compile.
QUICK = {
    "variant": {"alif mixed"},
    "drift": {"rotated"},
    "force": {"exact"},
    "broken": set(),
    "update": {"adam", "manhattan"},
    "rule": {"eprop:adaptive"},
    "driven_by": set(),
    "sampler": {"langevin"},
    "chain": {"langevin, wrong drift"},
    "chains_of": set(),
    "span": {"chunk"},
    "written_by": {"mixed_precision"},
}
# The backend that runs all of them; torch, which compiles nothing, unless there are thousands of steps.
ALL = dict.fromkeys(QUICK, "torch") | dict.fromkeys(("chain", "chains_of"), "jax")


COMPILED = tempfile.mkdtemp(prefix="neko-compiled-")
# Many tests make the same program of JAX; each is compiled once in a process.
os.environ |= {
    "JAX_COMPILATION_CACHE_DIR": COMPILED,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def pytest_unconfigure():
    """Remove what was compiled."""
    shutil.rmtree(COMPILED, ignore_errors=True)


@pytest.fixture(params=BACKENDS)
def xp(request):
    """Each backend in double precision, inside its scope."""
    chosen = backends.get(request.param, dtype="float64")
    with chosen.scope():
        yield chosen


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "quick(*backends): where one of them is installed, other backends are left to `make proofs`"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what is left to `make proofs`."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        marker = item.get_closest_marker("quick")
        quick_on = set(BACKENDS) & set(marker.args if marker else ())
        backend = next((params[name] for name in ("xp", "backend", "framework") if name in params), None)
        if quick_on and backend not in quick_on:
            item.add_marker(pytest.mark.slow)
        for name, quick in QUICK.items():
            if name in params and params.get("xp", ALL[name]) != ALL[name] and params[name] not in quick:
                item.add_marker(pytest.mark.slow)


def imported(path):
    """Roots of the modules that a test file imports when it is collected."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]


def pytest_ignore_collect(collection_path):
    """Leave out a file that could not even be imported."""
    if MISSING and collection_path.suffix == ".py" and MISSING & set(imported(collection_path)):
        return True
    return None


def pytest_report_header():
    """Say what is skipped, and why."""
    return f"not installed, so that tests are skipped: {', '.join(sorted(MISSING))}" if MISSING else None


@contextlib.contextmanager
def skipping():
    """Skip what misses a package; where all are installed an ImportError stays a failure."""
    try:
        yield
    except ImportError as error:
        cause = error.name or getattr(error.__cause__, "name", None)
        if str(cause).split(".")[0] in MISSING:
            pytest.skip(f"{cause} is not installed")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    with skipping():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    with skipping():
        return (yield)
