"""The notebooks of the documentation, executed anew: ``python tests/notebooks.py`` writes them with their outputs.

An output has no path and no time of this machine, so that a notebook changes where its results do.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path) -> Any:
    """A notebook with the outputs of a new kernel; nbclient's CellExecutionError where a cell raises."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:  # what a cell writes
        client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
        client.execute()
    return settled(notebook)


def settled(notebook: Any) -> Any:
    """Without what depends on the machine and the moment: times, versions, and what goes to stderr."""
    notebook.metadata.update(METADATA)
    for name in set(notebook.metadata) - set(METADATA):
        del notebook.metadata[name]
    notebook.metadata["language_info"] = METADATA["language_info"]
    for number, cell in enumerate(notebook.cells):
        cell.metadata.clear()
        cell.id = f"cell-{number}"
        if "outputs" in cell:
            cell.outputs = joined(output for output in cell.outputs if output.get("name") != "stderr")
        for output in cell.get("outputs", ()):
            output.get("metadata", {}).clear()
            if "image/png" in output.get("data", {}):
                output.data.pop("text/plain", None)
    return notebook


def joined(outputs: Iterable[Any]) -> list[Any]:
    """Printed text in one piece, however the kernel sent it."""
    found: list[Any] = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def write(path: Path) -> None:
    """Execute a notebook and keep its outputs."""
    import nbformat

    nbformat.write(executed(path), path)


if __name__ == "__main__":
    chosen = [path for path in NOTEBOOKS if not sys.argv[1:] or path.stem in sys.argv[1:]]
    for each in chosen:
        write(each)
