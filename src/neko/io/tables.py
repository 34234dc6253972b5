"""Tables as CSV or Parquet, with the same columns and values."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neko.arguments import as_path
from neko.io import files


def write(path: str | Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as Parquet if the path ends in ``.parquet``, else as CSV, numbers with all digits.

    None is an empty field of CSV, and null in Parquet.

    Raises
    ------
    ImportError
        For Parquet without PyArrow.
    """
    if as_path("path", path).suffix.lower() != ".parquet":
        return files.write_table(path, columns, rows)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet needs PyArrow: pip install 'neko-learning[report]'") from error
    content = io.BytesIO()
    parquet.write_table(pa.table({column: [row[column] for row in rows] for column in columns}), content)
    return files.write(path, content.getvalue())
