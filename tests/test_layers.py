"""The arrows of import: who may know whom, read from the source."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import neko

ROOT = Path(neko.__file__).parent
# Of the experiments only that on a user's own modules, which it writes as a user does; exports by PyTorch's programs.
ADAPTORS = {
    *("models/torch_module.py", "models/torch_crossing.py", "models/keras_model.py", "experiments/manhattan.py"),
    *("exchange/torch_module.py", "exchange/onnx.py"),
}
FRAMEWORKS = {"torch", "jax", "tensorflow", "keras", "optax", "array_api_compat"}
# Each module of the package and what it may import of neko, itself aside.
ARROWS = {
    "typing": set(),
    "errors": set(),
    "arguments": set(),
    "tree": set(),
    "registry": set(),
    "containers": {"tree"},
    "identity": {"containers", "errors", "tree"},
    "io": {"", "errors", "identity"},
    "backend": {"typing", "tree", "errors", "identity", "io"},
    "cells": {"backend", "typing", "registry"},
    "kernels": {"backend", "typing", "tree", "cells"},
    "losses": {"typing", "backend", "registry"},
    "metrics": {"backend", "typing", "losses", "registry"},
    "objective": {"typing", "backend", "losses"},
    "measures": {"backend", "metrics", "objective", "typing"},
    "models": {"typing", "tree", "errors", "containers", "identity", "io", "backend", "cells"},
    "exchange": {
        *("", "typing", "errors", "backend", "io", "cells", "models"),
        *("encoders", "evaluator", "losses", "metrics", "objective"),
    },
    "distributed": {"backend", "errors", "identity", "tree"},
    "links": {"losses", "metrics", "models"},
    "data": {
        *("backend", "typing", "tree", "errors", "containers", "identity", "io", "metrics", "models", "objective"),
        "distributed",
    },
    "evaluator": {
        *("backend", "encoders"),
        *("typing", "tree", "containers", "identity", "losses", "metrics", "measures", "objective", "models", "links"),
        "data",
    },
    "inference": {"backend", "typing", "models", "evaluator"},
    "devices": {"", "backend", "typing", "registry", "io"},
    "updates": {"typing", "tree", "registry", "backend", "devices"},
    "rules": {
        *("typing", "tree", "registry", "identity", "backend", "cells", "losses", "objective", "models", "evaluator"),
    },
    "samplers": {"backend", "typing", "tree", "containers"},
    "training": {
        *("typing", "tree", "errors", "identity", "io", "backend", "devices", "metrics", "objective", "models", "data"),
        *("", "evaluator", "rules", "updates", "distributed", "measures"),
    },
    "bayes": {
        "backend",
        *("typing", "tree", "errors", "registry", "identity", "io", "objective", "models", "data", "evaluator"),
        *("cells", "rules", "samplers", "training", "updates"),
    },
    "environments": {"identity"},
    "agents": {
        *("tree", "errors", "identity", "io", "backend", "encoders", "environments", "models", "rules", "updates"),
        *("typing", "training"),
    },
    "datasets": {"registry", "io"},
    "encoders": {"registry"},
    "verification": {"tree", "registry", "backend", "cells", "models", "objective", "evaluator", "rules", "training"},
    "plots": {"io", "rules", "training", "bayes", "backend", "devices"},
    "runs": {
        *("", "errors", "registry", "backend", "io", "cells", "devices", "datasets", "models", "objective", "rules"),
        *("evaluator", "updates", "training", "bayes", "plots", "exchange", "distributed"),
    },
    "experiments": {
        *("", "registry", "errors", "backend", "io", "cells", "datasets", "devices", "encoders", "metrics", "models"),
        *("objective", "evaluator", "inference", "updates", "rules", "training", "bayes", "plots", "runs"),
        *("agents", "environments"),
    },
    "sweeps": {"", "io", "bayes", "runs", "plots"},
    "cli": {
        *(
            "",
            "registry",
            "backend",
            "io",
            "cells",
            "datasets",
            "devices",
            "encoders",
            "errors",
            "evaluator",
            "updates",
            "training",
        ),
        *("bayes", "rules", "runs", "plots", "verification", "experiments", "exchange", "sweeps"),
    },
    "__main__": {"cli"},
    "__init__": set(),
}


def imports(path):
    """Every module that a file imports, at any level."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "neko":
                yield from (f"neko.{alias.name}" for alias in node.names if alias.name[0].islower())


def unit(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


FILES = sorted(ROOT.rglob("*.py"))


def test_every_arrow_points_the_right_way():
    assert len(FILES) > 30
    for path in FILES:
        mine = unit(path)
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "neko" and len(parts) > 1 and parts[1] != mine:
                assert parts[1] in ARROWS[mine] | {"arguments"}, f"{path.relative_to(ROOT)} imports {module}"


def test_the_arrows_have_no_cycle():
    done: set[str] = set()
    while len(done) < len(ARROWS):
        ready = {name for name, known in ARROWS.items() if name not in done and known - {""} <= done}
        assert ready, f"a cycle among {set(ARROWS) - done}"
        done |= ready


def test_only_backends_and_adaptors_import_a_framework():
    found = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if any(module.split(".")[0] in FRAMEWORKS for module in imports(path))
    }
    assert found
    assert all(name.startswith(("backend/_", "kernels/", "distributed/_")) or name in ADAPTORS for name in found), found


def test_no_file_is_longer_than_its_budget():
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert max(lengths.values()) <= 300, sorted(lengths.items(), key=lambda entry: entry[1])[-5:]
    assert statistics.median(lengths.values()) <= 90
