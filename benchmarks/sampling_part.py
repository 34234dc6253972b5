"""The part of the page of speed on samplers beside blackjax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.figures import number, table


def sampling(found: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Samplers beside blackjax"
    yield (
        "MALA, and HMC with ten leapfrog steps, on JAX in one process: the same densities and step sizes, each sampler "
        "in one compiled scan. Effective draws (ArviZ, mean over all entries) per second of CPU time, and what a "
        "transition takes."
    )
    yield table(
        ["", "acceptance", "effective draws / s", "blackjax", "ratio", "µs a transition", "blackjax"],
        (
            [
                f"{row['density']}, {row['sampler']}",
                f"{row['acceptance']['ours']:.2f}",
                *(number(row["ess per second"][who]) for who in ("ours", "theirs")),
                f"{row['ratio']:.2f}",
                *(number(row["us"][who]) for who in ("ours", "theirs")),
            ]
            for row in found
        ),
    )
