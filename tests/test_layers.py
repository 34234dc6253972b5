"""The arrows of import: who may know whom, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import neko

ROOT = Path(neko.__file__).parent
FRAMEWORKS = {"torch", "jax", "tensorflow", "keras", "optax", "array_api_compat"}
# Each module of the package and what it may import of neko, itself aside.
ARROWS = {
    "typing": set(),
    "arguments": set(),
    "tree": set(),
    "errors": set(),
    "atomic": set(),
    "code": set(),
    "describe": set(),
    "output": set(),
    "containers": {"tree"},
    "checks": {"containers"},
    "frames": set(),
    "lengths": {"containers"},
    "recording": {"errors"},
    "fingerprint": {"containers", "tree"},
    "description": {"code", "fingerprint"},
    "identity": {"description", "errors"},
    "datasize": set(),
    "history": {"atomic"},
    "randomness": set(),
    "state": {"errors"},
    "checkpoint": {"errors", "atomic", "identity", "trainable", ""},
    "batches": {"containers", "errors", "identity", "lengths", "randomness"},
    "backend": {"typing", "tree", "errors", "identity"},
    "cells": {"typing"},
    "initializers": set(),
    "losses": {"typing", "recording"},
    "metrics": {"typing", "losses"},
    "devices": {"typing"},
    "samplers": {"typing", "tree", "containers"},
    "posterior": set(),
    "updates": {"typing", "tree", "state", "backend", "devices"},
    "datasets": set(),
    "readout": {"typing", "cells"},
    "network": {"typing", "cells", "readout", "initializers"},
    "objective": {"typing", "losses", "recording"},
    "trainable": {"typing", "checks", "containers", "identity", "tree"},
    "adaptors": {"typing", "backend", "errors", "identity", "randomness", "tree", "trainable"},
    "models": {"typing", "tree", "backend", "identity", "cells", "network", "readout", "trainable"},
    "outputs": {"losses", "metrics", "trainable"},
    "intake": {"typing", "checks", "containers", "frames", "tree", "metrics", "objective", "trainable"},
    "activity": {"errors"},
    "evaluator": {
        "typing",
        "activity",
        "containers",
        "frames",
        "identity",
        "intake",
        "lengths",
        "batches",
        "losses",
        "metrics",
        "adaptors",
        "outputs",
        "trainable",
        "tree",
        "network",
        "objective",
    },
    "rules": {
        "typing",
        "activity",
        "adaptors",
        "containers",
        "describe",
        "errors",
        "frames",
        "tree",
        "identity",
        "fingerprint",
        "datasize",
        "batches",
        "recording",
        "trainable",
        "state",
        "cells",
        "network",
        "readout",
        "objective",
        "evaluator",
        "updates",
        "devices",
        "samplers",
        "posterior",
        "initializers",
        "losses",
    },
    "verification": {"tree", "backend", "cells", "models", "evaluator", "objective", "rules"},
    "loop": {"rules", "evaluator", "batches", "history", "identity", "randomness", "errors"},
    "callbacks": {"loop", "atomic", "checkpoint", "identity", "state", "errors"},
    "trainer": {"rules", "loop", "batches", "history", "callbacks", "output"},
    "deviations": set(),
    "clones": {"evaluator", "rules"},
    "compare": {"rules", "clones", "deviations", "evaluator", "trainer", "updates", "atomic", "identity"},
    "plots": {"compare", "deviations", "posterior", "rules", "atomic"},
    "inference": {"typing", "trainable", "network", "evaluator"},
    "config": {"", "atomic", "backend", "arguments"},
    "run": {
        "config",
        "errors",
        "",
        "atomic",
        "backend",
        "callbacks",
        "cells",
        "checkpoint",
        "datasets",
        "devices",
        "evaluator",
        "history",
        "loop",
        "models",
        "objective",
        "plots",
        "rules",
        "trainer",
        "updates",
    },
    "cli": {
        "backend",
        "deviations",
        "output",
        "posterior",
        "atomic",
        "checkpoint",
        "run",
        "verification",
        "history",
        "plots",
        "datasets",
        "cells",
        "devices",
        "rules",
        "updates",
        "compare",
        "",
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
    assert all(name.startswith(("backend/_", "adaptors/")) for name in found), found


def test_no_file_is_longer_than_its_budget():
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert max(lengths.values()) <= 400, lengths
