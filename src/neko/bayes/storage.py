"""A posterior as an ArviZ InferenceData, and in a file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neko.arguments import as_path, plain
from neko.bayes.packages import arviz, arviz_names, checked_shapes
from neko.io import files, hdf5

if TYPE_CHECKING:
    from neko.bayes.posterior import Posterior

ENGINE = "h5netcdf"
"""What reads and writes netCDF; ArviZ requires it."""
LIMIT, RATIO = 2**28, 64
"""Bytes of all arrays of a file, as they are in memory: 256 MiB, or if that is more 64 times as many as the file has,
since draws are hardly compressed."""
ABOUT = ("link", "power", "temperature", "method")
"""Fields of a posterior that are attributes of its InferenceData."""


def exported(found: Posterior) -> Any:
    """See `Posterior.to_arviz`."""
    step_size = np.broadcast_to(found.step_size[:, None], found.logdensity.shape)
    stats = {"lp": found.logdensity, "acceptance_rate": found.acceptance, "step_size": step_size}
    names = arviz_names(found.draws)
    groups: dict[str, Any] = {"sample_stats": stats}
    if found.draws:
        groups["posterior"] = {names[name]: values for name, values in found.draws.items()}
    dims = {}
    if found.predictions is not None:
        kind = "probability" if found.link in ("softmax", "sigmoid") else "prediction"
        dims[kind] = ["example", "time", "output"] if found.predictions.ndim == 5 else ["example", "output"]
        groups["predictions"] = {kind: found.predictions}
    about = {name: getattr(found, name) for name in ABOUT}
    with checked_shapes():
        return arviz().from_dict(**groups, dims=dims, attrs={**about, "parameters": json.dumps(names)})


def imported(data: Any) -> dict[str, Any]:
    """The fields of the posterior that an InferenceData of `exported` has."""
    groups, stats = data.groups(), data["sample_stats"]
    names = json.loads(data.attrs["parameters"])
    return {
        "draws": {name: data["posterior"][own].values for name, own in names.items()},
        "logdensity": stats["lp"].values,
        "acceptance": stats["acceptance_rate"].values,
        "step_size": stats["step_size"].values[:, 0],
        "predictions": next(iter(data["predictions"].values())).values if "predictions" in groups else None,
        **{name: plain(data.attrs[name]) for name in ABOUT},
    }


def save(found: Posterior, path: str | Path) -> Path:
    """See `Posterior.save`."""
    path = as_path("path", path)
    data = exported(found)
    with tempfile.TemporaryDirectory() as folder:
        whole = data.to_netcdf(str(Path(folder) / "posterior.nc"), engine=ENGINE)
        return files.write(path, Path(whole).read_bytes())


def load(path: str | Path) -> dict[str, Any]:
    """The fields of a posterior that `save` has written; ValueError for another file."""
    path = as_path("path", path)
    if not path.exists():
        raise FileNotFoundError(f"{str(path)!r}: expected a file that Posterior.save has written")
    library = arviz()
    try:
        hdf5.examine(path, max(LIMIT, RATIO * path.stat().st_size), "a posterior")
        data = library.from_netcdf(str(path), engine=ENGINE)
        try:
            return imported(data.load())
        finally:
            data.close()
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{str(path)!r} is no file that Posterior.save has written") from error
