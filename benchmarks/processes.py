"""Starts workers, one at a time, each with as many threads as cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS

ROOT = Path(__file__).parent.parent


def variables(threads: int) -> dict[str, str]:
    """What keeps every library to so many threads."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMBA")
    counts = {f"{name}_NUM_THREADS": str(threads) for name in names}
    tensorflow = {f"TF_NUM_{kind}_THREADS": str(threads) for kind in ("INTEROP", "INTRAOP")}
    eigen = "true" if threads > 1 else "false"
    flags = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
    return counts | tensorflow | {"XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "3"}


def work(
    contender: str, task: str, threads: int = 1, environment: Mapping[str, str] | None = None, **arguments: Any
) -> Any:
    """What a worker found; RuntimeError with its last words where it failed."""
    asked = CONTENDERS[contender]
    command = [
        asked.python,
        "-m",
        "benchmarks.worker",
        task,
        json.dumps({"contender": contender, "cores": threads, **arguments}),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | variables(threads) | asked.variables | dict(environment or {}),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{contender}, {task}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def call(module: str, *arguments: Any) -> Any:
    """What ``benchmarks.<module>.measure(*arguments)`` gives in a process of its own."""
    code = f"import json; from benchmarks import {module}; print(json.dumps({module}.measure(*{arguments!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | variables(1), stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
