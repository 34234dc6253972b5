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


if __name__ == "__main__":
    pairs = [(seconds("import numpy"), seconds("import numpy, neko")) for _ in range(21)]
    base, more = (statistics.median(column) for column in zip(*pairs, strict=True))
    extra = statistics.median(b - a for a, b in pairs)
    print(f"import numpy {base:.3f} s, with neko {more:.3f} s, median difference {extra:.3f} s")
