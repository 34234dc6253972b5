"""Conversion of all inputs in any container to arrays, with examples by their position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neko import tree

PADDING = "pad the sequences to equal length and give a mask with 0 at the padded frames"


def as_array(name: str, a: Any) -> Any:
    """A dense array: a tensor of a framework unchanged, anything else as a NumPy array.

    Parameters
    ----------
    name : str
        Its name in error messages.
    a : array-like
        NumPy arrays, tensors of PyTorch, JAX and TensorFlow, nested lists, lists of arrays, pandas objects (by
        position, not by index), HDF5 data sets (read into memory), and objects with ``__array__``. Half precision and
        bfloat16 of any framework are converted to single precision, which is exact.

    Raises
    ------
    TypeError
        For other objects than dense arrays of real numbers: sparse, ragged, nested and packed sequences, rows of
        unequal length, strings, complex numbers. The message says how to convert it.
    ValueError
        For a masked array with masked entries, whose values are undefined.
    """
    root, kind = type(a).__module__.partition(".")[0], type(a).__name__
    if root == "torch":
        return from_torch(name, a)
    if root in ("tensorflow", "keras"):
        return from_tensorflow(name, a)
    if root in ("jax", "jaxlib"):
        return a if a.dtype.kind in "biuf" and a.dtype.itemsize > 2 else as_numpy(name, a)
    if isinstance(a, np.ma.MaskedArray) and np.ma.is_masked(a):
        raise ValueError(
            f"{name} is a masked array with {int(np.ma.getmaskarray(a).sum())} masked entries: fill them "
            f"({name}.filled(…)), and give a mask (batch, time) for frames that do not count"
        )
    if root == "scipy" or hasattr(a, "tocsr") or hasattr(a, "todense"):
        raise TypeError(f"{name} is a sparse {kind}: expected a dense array, for example {name}.toarray()")
    if isinstance(a, list | tuple) and any(hasattr(entry, "shape") for entry in a):
        return stacked(name, a)
    return as_numpy(name, a)


def from_torch(name: str, a: Any) -> Any:
    """A dense, detached `torch.Tensor`; TypeError for others."""
    kind = type(a).__name__
    if kind == "PackedSequence":
        raise TypeError(
            f"{name} is a PackedSequence: expected a dense array; undo it by pad_packed_sequence and {PADDING}"
        )
    if not hasattr(a, "layout"):
        raise no_array(name, a)
    if getattr(a, "is_nested", False):
        raise TypeError(f"{name} is a nested tensor: expected a dense one; {PADDING} (torch.nested.to_padded_tensor)")
    if str(a.layout) != "torch.strided":
        raise TypeError(f"{name} is a sparse tensor ({a.layout}): expected a dense one, for example {name}.to_dense()")
    if a.is_quantized:
        raise TypeError(f"{name} is a quantized tensor: expected real numbers, for example {name}.dequantize()")
    if a.is_complex():
        raise TypeError(f"{name} has dtype {a.dtype}: expected real numbers")
    a = a.detach()
    return a.float() if a.is_floating_point() and a.element_size() <= 2 else a


def from_tensorflow(name: str, a: Any) -> Any:
    """A dense tensor or the value of a variable of TensorFlow or Keras; TypeError for others."""
    kind = type(a).__name__
    if "Ragged" in kind:
        raise TypeError(f"{name} is a {kind}: expected a dense tensor; {PADDING} ({name}.to_tensor())")
    if "Sparse" in kind or "IndexedSlices" in kind:
        raise TypeError(f"{name} is a {kind}: expected a dense tensor, for example tf.sparse.to_dense({name})")
    if "Variable" in kind:
        return as_array(name, np.asarray(a))
    dense = hasattr(a, "numpy") and "float16" not in str(a.dtype)
    return a if dense else as_numpy(name, a)


def as_numpy(name: str, a: Any) -> np.ndarray:
    """An array of any framework on the host, in native byte order; TypeError unless it has real numbers."""
    host = a.detach().cpu() if hasattr(a, "detach") else a
    if hasattr(host, "to_numpy") and not isinstance(host, np.ndarray):  # pandas and similar, by position
        host = host.to_numpy()
    try:
        found = np.asarray(host)
        if found.dtype == object and found.ndim and not isinstance(host, list | tuple):
            found = found.astype(np.float64)  # numbers in a column of objects
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"{name} is {type(a).__name__}: expected an array of numbers, its rows of equal length; {PADDING}"
        ) from error
    if found.dtype.kind not in "fiub":
        if found.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
            return found.astype(np.float32)
        if found.dtype == object and not found.ndim:
            raise no_array(name, a)
        raise TypeError(f"{name} has dtype {found.dtype}: expected real numbers, all rows of equal length")
    if found.dtype.kind == "f" and found.dtype.itemsize in (2, 16):
        return found.astype(np.float32 if found.dtype.itemsize == 2 else np.float64)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def no_array(name: str, a: Any) -> TypeError:
    """The error for an object that is not an array, with a hint for loaders."""
    return TypeError(f"{name} is {type(a).__name__}: expected an array{', or a loader without y' * (name == 'x')}")


def stacked(name: str, rows: Any) -> np.ndarray:
    """A list of arrays of the same shape as one array, one example per entry."""
    arrays = [as_numpy(f"{name}[{i}]", as_array(f"{name}[{i}]", row)) for i, row in enumerate(rows)]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise TypeError(f"{name} is a list of arrays of shapes {sorted(shapes)!r}: expected equal ones; {PADDING}")
    return np.stack(arrays)


def as_inputs(name: str, x: Any, several: bool) -> Any:
    """An array or, for a model of several inputs, a tuple or dict of arrays with examples along their first axes."""
    if not several:
        return as_array(name, x)
    if isinstance(x, Mapping):
        return {key: as_inputs(f"{name}[{key!r}]", a, isinstance(a, Mapping | tuple)) for key, a in x.items()}
    return tuple(as_inputs(f"{name}[{i}]", a, isinstance(a, Mapping | tuple)) for i, a in enumerate(x))


def count(name: str, x: Any) -> int:
    """Number of examples of an array, or of several arrays; ValueError where they differ."""
    lengths = []
    for a in tree.leaves(x):
        if not len(a.shape):
            raise ValueError(f"{name} has shape (): expected examples along the first axis")
        lengths.append(int(a.shape[0]))
    if len(set(lengths)) != 1:
        raise ValueError(f"{name} has inputs of {lengths!r} examples: expected the same number of each, at least one")
    return lengths[0]


def rows(a: Any, chosen: Any) -> Any:
    """Entries of the leading axis of each array; TensorFlow tensors are converted, since arrays cannot index them."""

    def of(a: Any) -> Any:
        if isinstance(chosen, slice) or not type(a).__module__.startswith("tensorflow"):
            return a[chosen]
        return np.asarray(a)[chosen]

    return tree.map(of, a)


def first(bad: Any) -> tuple[int, ...]:
    """Index of the first True."""
    return tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))


def counting(values: np.ndarray, valid: Any) -> np.ndarray:
    """The valid entries: all, or those of frames where `valid` (batch, time) is not 0."""
    if valid is None:
        return np.ones(values.shape, bool)
    counts = as_numpy("mask", valid) != 0
    return np.broadcast_to(counts.reshape(*counts.shape, *(1,) * (values.ndim - 2)), values.shape)


def check_finite(name: str, a: Any, valid: Any = None) -> None:
    """ValueError for an array with a valid entry that is infinite or NaN."""
    values = as_numpy(name, a)
    if values.dtype.kind != "f":
        return
    # A finite sum has finite terms, and takes half the time of a check of every entry.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(values)):
            return
    bad = np.logical_not(np.isfinite(values)) & counting(values, valid)
    if bad.any():
        where = first(bad)
        place = f"[{', '.join(map(str, where))}]" if where else ""
        raise ValueError(f"{name}{place} is {values[where]}: expected finite numbers; mask or fill what is missing")
