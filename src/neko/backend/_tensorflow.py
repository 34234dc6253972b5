"""TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from neko import tree
from neko.backend import _tensorflow_names, names
from neko.backend.blocks import filter_by_blocks
from neko.backend.foreign import host, unavailable
from neko.backend.protocol import Compiled, Framework, scan_length
from neko.backend.random import Random

FLOATS = {"float32": tf.float32, "float64": tf.float64}


class TensorFlowBackend(Framework):
    """TensorFlow; `jit` is ``tf.function``. See `neko.backend.protocol.Backend`."""

    name = "tensorflow"
    compiles = True
    fuses = False

    def __init__(self, device: str | None, dtype: str, products: str | None = None) -> None:
        super().__init__(dtype, FLOATS[dtype], device, check_device(device), products)
        self.random = Random(self, tf.int64)
        for name in names.ARRAY_API:
            setattr(self, name, getattr(_tensorflow_names, name))
        self.einsum = tf.einsum
        self.erf = tf.math.erf
        self.sigmoid = tf.sigmoid
        self.softplus = tf.math.softplus
        self.stop_gradient = tf.stop_gradient
        self.cholesky = tf.linalg.cholesky

    def scope(self) -> Any:
        return contextlib.nullcontext() if self.device is None else tf.device(self.device)

    def zeros(self, shape: Any, *, dtype: Any = None) -> Any:
        return tf.zeros(shape, self.dtype if dtype is None else dtype)

    def ones(self, shape: Any, *, dtype: Any = None) -> Any:
        return tf.ones(shape, self.dtype if dtype is None else dtype)

    def full(self, shape: Any, value: Any, *, dtype: Any = None) -> Any:
        return tf.fill(shape, tf.constant(value, self.dtype if dtype is None else dtype))

    def eye(self, n: int, *, dtype: Any = None) -> Any:
        return tf.eye(n, dtype=self.dtype if dtype is None else dtype)

    def arange(self, *args: Any, dtype: Any = None) -> Any:
        return tf.cast(tf.range(*args), self.dtype if dtype is None else dtype)

    def asarray(self, x: Any, *, dtype: Any = None) -> Any:
        with self.scope():
            if not tf.is_tensor(x):
                x = host(x)
                if dtype is None and np.issubdtype(x.dtype, np.floating):
                    dtype = self.dtype
                return tf.convert_to_tensor(x if dtype is None else x.astype(dtype.as_numpy_dtype))
            if dtype is None and x.dtype.is_floating:
                dtype = self.dtype
            return tf.convert_to_tensor(x) if dtype is None else tf.cast(x, dtype)

    def scalar(self, x: float) -> Any:
        return self.asarray(x)

    def owns(self, x: Any) -> bool:
        return bool(tf.is_tensor(x))

    def to_numpy(self, x: Any) -> np.ndarray:
        return host(x.numpy() if tf.is_tensor(x) else x)

    def log_softmax(self, x: Any) -> Any:
        return tf.nn.log_softmax(x)

    def logsumexp(self, x: Any) -> Any:
        return tf.reduce_logsumexp(x, axis=-1)

    def one_hot(self, x: Any, classes: int) -> Any:
        return tf.one_hot(tf.cast(x, tf.int64), classes, dtype=self.dtype)

    def svd(self, x: Any) -> Any:
        s, u, v = tf.linalg.svd(x)
        return u, s, tf.linalg.matrix_transpose(v)

    def solve_triangular(self, a: Any, b: Any, *, lower: bool) -> Any:
        return tf.linalg.triangular_solve(a, b, lower=lower)

    def value_and_grad(
        self, f: Callable[..., Any], has_aux: bool = False, recorded: Callable[[Any], None] | None = None
    ) -> Callable[..., Any]:
        def run(params: Any, *args: Any) -> Any:
            flat = tree.leaves(params)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(flat)
                out = f(params, *args)
            found = tape.gradient(out[0] if has_aux else out, flat)
            if recorded is not None:
                recorded(tree.rebuild(params, iter([g is not None for g in found])))
            # The gradient of a table lookup (an embedding) is sparse, by rows.
            dense = (
                tf.zeros_like(p) if g is None else tf.convert_to_tensor(g) for g, p in zip(found, flat, strict=True)
            )
            return out, tree.rebuild(params, dense)

        return run

    def jvp(self, f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
        flat, along = tree.leaves(tuple(primals)), tree.leaves(tuple(tangents))
        with tf.autodiff.ForwardAccumulator(flat, along) as accumulator:
            out = f(*primals)
        return out, tree.map(lambda o: accumulator.jvp(o, unconnected_gradients="zero"), out)

    def vjp(self, f: Callable[..., Any], *primals: Any) -> Any:
        flat = tree.leaves(primals)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(flat)
            out = f(*primals)

        def pullback(cotangent: Any) -> Any:
            found = tape.gradient(
                tree.leaves(out), flat, output_gradients=tree.leaves(cotangent), unconnected_gradients="zero"
            )
            return tree.rebuild(primals, iter(found))

        return out, pullback

    def columnwise_jacobian(self, f: Callable[..., Any], *primals: Any) -> Any:
        # Each primal gets its own tensor: two arguments that are the same tensor would share one gradient.
        primals = tuple(tf.identity(p) for p in primals)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(primals)
            outputs = f(*primals)
        return tuple(tuple(tape.gradient(out, list(primals))) for out in outputs)

    def scan(
        self, f: Callable[..., Any], carry: Any, xs: Any, *, length: int | None = None, reverse: bool = False
    ) -> Any:
        columns = tree.leaves(xs)
        steps = scan_length(columns, length)
        if tf.executing_eagerly():
            return self._eager_scan(f, carry, xs, columns, steps, reverse)
        return self._graph_scan(f, carry, xs, columns, steps, reverse)

    def _eager_scan(self, f: Any, carry: Any, xs: Any, columns: Any, steps: int, reverse: bool) -> Any:
        slices = [tf.unstack(column) for column in columns]
        ys: list[list[Any]] = []
        y = None
        for t in reversed(range(steps)) if reverse else range(steps):
            carry, y = f(carry, tree.rebuild(xs, iter([column[t] for column in slices])))
            ys.append(tree.leaves(y))
        if reverse:
            ys.reverse()
        return carry, tree.rebuild(y, iter([tf.stack(column) for column in zip(*ys, strict=True)]))

    def _graph_scan(self, f: Any, carry: Any, xs: Any, columns: Any, steps: int, reverse: bool) -> Any:
        shape: list[Any] = []

        def at(t: Any) -> Any:
            return tree.rebuild(xs, iter([column.read(t) for column in slices]))

        def body(t: Any, flat: Any, arrays: Any) -> Any:
            step = steps - 1 - t if reverse else t
            new, y = f(tree.rebuild(carry, iter(flat)), at(step))
            shape[:] = [y]
            written = [a.write(step, leaf) for a, leaf in zip(arrays, tree.leaves(y), strict=True)]
            return t + 1, tree.leaves(new), written

        slices = [
            tf.TensorArray(c.dtype, size=steps, element_shape=c.shape[1:], clear_after_read=False).unstack(c)
            for c in columns
        ]
        start = tree.leaves(carry)
        # One step gives the shapes of its results; nothing reads it, so it is pruned from the graph.
        like = tree.leaves(f(carry, tree.rebuild(xs, iter([column[0] for column in columns])))[1])
        arrays = [tf.TensorArray(a.dtype, size=steps, element_shape=a.shape) for a in like]
        _, flat, arrays = tf.while_loop(
            lambda t, *_: t < steps,
            body,
            (tf.constant(0), start, arrays),
            maximum_iterations=steps,
            parallel_iterations=1,
            shape_invariants=(tf.TensorShape([]), [a.shape for a in start], [None] * len(arrays)),
        )
        return tree.rebuild(carry, iter(flat)), tree.rebuild(shape[0], iter([a.stack() for a in arrays]))

    def leaky_filter(self, kappa: float, drive: Any, start: Any, reverse: bool) -> Any:
        # A loop, and the loop of its gradient, would take a third of a step of BPTT.
        return filter_by_blocks(self, kappa, drive, start, reverse)

    def jit(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return Compiled(self, as_graph, f)

    def xla(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """f, compiled by XLA as one program, its loops included."""
        return Compiled(self, as_program, f)

    def optimizer(self, spec: Any) -> Any:
        from neko.backend import _tensorflow_optimizers

        return _tensorflow_optimizers.resolve(self, spec)


def as_graph(f: Callable[..., Any]) -> Any:
    """`f` as a graph; its Python code runs once for every shape."""
    return tf.function(f, autograph=False)


def as_program(f: Callable[..., Any]) -> Any:
    """`f` as a program of XLA; ValueError where it has an operation that XLA does not know."""
    program = tf.function(f, autograph=False, jit_compile=True)

    def run(*args: Any) -> Any:
        try:
            return program(*args)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"jit='xla': XLA cannot compile this step: {reason}. Take jit=True, without XLA"
            ) from error

    return run


INSTALL = "for 'GPU:0' install TensorFlow with CUDA: pip install 'tensorflow[and-cuda]'"


def check_device(device: str | None) -> str | None:
    """The device by TensorFlow's name; ValueError where it does not exist, where TensorFlow would use the CPU."""
    if device is None:
        return None
    kind, _, index = device.rpartition("/")[2].upper().removeprefix("DEVICE:").replace("CUDA", "GPU").partition(":")
    place = f"/device:{kind}:{index or 0}"
    available = [d.name for d in tf.config.list_logical_devices()]
    if place not in available:
        names = [name.removeprefix("/device:") for name in available]
        raise unavailable("tensorflow", tf.__version__, device, names, INSTALL)
    return place
