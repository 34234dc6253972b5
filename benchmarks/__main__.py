"""Run the benchmarks: ``python -m benchmarks [section …] [--quick]``; ``python -m benchmarks.report`` shows them."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.sections import SECTIONS, Effort

RESULTS = Path(__file__).parent / "results" / "speed.json"
ROUNDS, SECONDS = 3, 1.0
"""Rounds, and seconds that a contender is given for each case in a round."""


def run(sections: Iterable[str], rounds: int = ROUNDS, quick: bool = False, without: Iterable[str] = ()) -> None:
    """Measure sections and write each into the file of results as soon as it is there."""
    for name in sections:

        def say(text: str, name: str = name) -> None:
            print(f"{name}: {text}", file=sys.stderr, flush=True)

        effort = Effort(rounds, SECONDS, quick, say, tuple(without))
        begin = time.perf_counter()
        found = SECTIONS[name](effort)
        command = f"python -m benchmarks {name} --rounds {rounds}{' --quick' if quick else ''}"
        command += "".join(f" --without {shlex.quote(name)}" for name in without)
        seconds = round(time.perf_counter() - begin)
        kept = {"machine": machine.describe(), "command": command, "took": seconds, "found": found}
        write(load() | {name: kept})
        say(f"{seconds} s")


def load() -> dict[str, Any]:
    """The results so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def write(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    """Measure the sections that are asked for, by default all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; default all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="only the smallest cases")
    parser.add_argument("--without", action="append", default=[], help="a contender that is left out; may be repeated")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {sorted(unknown)!r}: expected any of {list(SECTIONS)}")
    run(options.sections or SECTIONS, options.rounds, options.quick, options.without)


if __name__ == "__main__":
    main()
