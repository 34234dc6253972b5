"""What `import neko` costs beyond `import numpy`: ``python -m benchmarks.import_time``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def seconds(code: str) -> float:
    """Wall time of a fresh interpreter that runs `code`."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def measure(pairs: int = 21) -> dict[str, float]:
    """Median seconds of ``import numpy``, of that and ``import neko``, and of the difference, pair by pair."""
    found = [(seconds("import numpy"), seconds("import numpy, neko")) for _ in range(pairs)]
    base, more = (statistics.median(column) for column in zip(*found, strict=True))
    return {"numpy": base, "with neko": more, "difference": statistics.median(b - a for a, b in found)}


if __name__ == "__main__":
    row = measure()
    print(
        f"import numpy {row['numpy']:.3f} s, with neko {row['with neko']:.3f} s, "
        f"median difference {row['difference']:.3f} s"
    )
