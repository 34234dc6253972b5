"""Generated kernels as calls inside XLA's programs on the CPU: no copy, no Python, no C compiler.

XLA calls a foreign function by one pointer, to a frame of its stage, arguments and results (xla/ffi/api/c_api.h among
the headers of jaxlib). Numba compiles such a function, which makes arrays of XLA's buffers and calls the kernel.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from neko.kernels.numba import DECORATED, head, module

METADATA = 1
"""The kind of extension by which XLA asks for the version in place of a call."""
# Places in XLA's structures, in words of 8 bytes; they are those of every version 0 of the interface.
EXTENSION, INTERFACE, ARGUMENTS, RESULTS = 1, 2, 9, 14  # of a frame
DATA, EXTENTS = 3, 5  # of a buffer
VERSION, CREATE_ERROR = 4, 6  # of the interface: its version, and the function that makes an error
INTERNAL = 13
"""XLA's code of an internal error."""

WORD = ir.IntType(64)


@intrinsic  # type: ignore[untyped-decorator]
def words(typing: Any, address: Any) -> Any:
    """An address as a pointer to words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], WORD.as_pointer())

    return types.CPointer(types.int64)(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def array(typing: Any, address: Any, shape: Any, dtype: Any) -> Any:
    """The C-ordered array at an address; Numba's `carray` takes typed pointers only."""
    kind = types.Array(dtype.dtype, len(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = make_array(kind)(context, builder)
        size = ir.Constant(WORD, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
        extents = cgutils.unpack_tuple(builder, arguments[1])
        strides = [size]
        for extent in extents[:0:-1]:
            strides.insert(0, builder.mul(strides[0], extent))
        data = builder.inttoptr(arguments[0], made.data.type)
        populate_array(made, data=data, shape=extents, strides=strides, itemsize=size, meminfo=None)
        return made._getvalue()

    return kind(address, shape, dtype), generate


@intrinsic  # type: ignore[untyped-decorator]
def failure(typing: Any, create: Any) -> Any:
    """The address of an error that XLA raises, made by its function at the address `create`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        text = context.insert_const_string(builder.module, "a compiled kernel of neko raised an error")
        given = builder.alloca(WORD, 4)
        size, extension, code = (ir.Constant(WORD, value) for value in (28, 0, INTERNAL))
        for place, value in enumerate((size, extension, builder.ptrtoint(text, WORD), code)):
            builder.store(value, builder.gep(given, [ir.Constant(WORD, place)]))
        function = builder.inttoptr(arguments[0], ir.FunctionType(WORD, [WORD.as_pointer()]).as_pointer())
        return builder.call(function, [given])

    return types.int64(types.int64), generate


@numba.njit  # type: ignore[untyped-decorator]
def asked(frame: Any) -> bool:
    """Whether XLA asks for the version, which is then answered."""
    if frame[EXTENSION] == 0:
        return False
    extension = words(frame[EXTENSION])
    if extension[1] & 0xFFFFFFFF != METADATA:
        return False
    answer = words(extension[3])
    minor = words(frame[INTERFACE])[VERSION] >> 32  # XLA's own, over the major version in the lower half
    answer[3], answer[4], answer[5] = minor << 32, 0, 0  # no traits, no state
    return True


@numba.njit  # type: ignore[untyped-decorator]
def buffer(frame: Any, side: int, index: int) -> Any:
    """A buffer among the arguments or results of a frame."""
    return words(words(frame[side])[index])


HANDLER = """

@numba.cfunc(types.int64(types.CPointer(types.int64)), cache=True)
def handler(frame):
    if asked(frame):
        return 0
    {arrays}
    try:
        run({names})
    except Exception:
        return failure(words(frame[INTERFACE])[CREATE_ERROR])
    return 0
"""
"""The function that XLA calls."""
IMPORTS = f"""# Called through version {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]} of:
import numba
from numba import types
from neko.kernels.xla import ARGUMENTS, CREATE_ERROR, DATA, EXTENTS, INTERFACE, RESULTS
from neko.kernels.xla import array, asked, buffer, failure, words
"""
HANDLERS: dict[str, Any] = {}
"""Modules of compiled handlers by their texts, kept since XLA holds their addresses."""
LOCK = threading.Lock()


def call(text: str, dtype: Any, arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> Sequence[Any]:
    """Results of ``run(*arrays, *results)``, in a compiled program or outside.

    Parameters
    ----------
    text : str
        Defines ``kernel``, and the function ``run``, which fills the results; they hold anything before.
    dtype : numpy.dtype
        The precision of all arrays.
    arrays : sequence of jax.Array
        The arguments; they are XLA's own buffers, and must not be changed.
    shapes : sequence of tuple
        Shapes of the results.
    """
    results = tuple(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes)
    axes = [("ARGUMENTS", i, a.ndim) for i, a in enumerate(arrays)]
    axes += [("RESULTS", i, r.ndim) for i, r in enumerate(results)]
    name = target(text, dtype, axes)
    # A batch of calls, as by jax.vmap, is one call after another.
    found: Sequence[Any] = jax.ffi.ffi_call(name, results, vmap_method="sequential")(*arrays)
    return found


def target(text: str, dtype: Any, axes: list[tuple[str, int, int]]) -> str:
    """The name by which programs call a text, equal in every process: JAX may keep programs on disk."""
    lines = []
    for k, (side, index, count) in enumerate(axes):
        extents = "".join(f"words(b{k}[EXTENTS])[{axis}], " for axis in range(count))
        lines.append(f"b{k} = buffer(frame, {side}, {index})")
        lines.append(f"a{k} = array(b{k}[DATA], ({extents}), types.{dtype.name})")
    names = ", ".join(f"a{k}" for k in range(len(axes)))
    handler = HANDLER.format(arrays="\n    ".join(lines), names=names)
    whole = f"{head(dtype)}{IMPORTS}\n\n{DECORATED}{text}{handler}"
    with LOCK:
        if whole not in HANDLERS:
            HANDLERS[whole] = found = module(whole)
            jax.ffi.register_ffi_target(found.__name__, jax.ffi.pycapsule(found.handler.address), platform="cpu")
    return str(HANDLERS[whole].__name__)
