"""The interface of a backend, which numerical code uses as ``xp``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from neko.backend.generated import Offer
from neko.backend.random import Random
from neko.typing import Array


class Backend(Protocol):
    """One framework, with a device and a precision.

    In addition a backend has the functions of `neko.backend.names`, with the semantics of
    the Python array API. Numerical code uses these, operators, ``@`` and basic slices: no array
    methods and no fancy indexing, which frameworks disagree on. Trees are nested dicts, tuples, NamedTuples, lists.
    """

    name: str
    dtype: Any
    dtype_name: str
    products: str | None
    """Precision to which operands of large matrix products are rounded; None for none."""
    device: Any
    compiles: bool
    """Whether `jit` compiles a program for every new shape of its arguments."""
    fuses: bool
    """Whether the element-wise work of a scan step compiles into few kernels: computing it again then beats memory."""
    differentiable: bool
    """Whether spikes carry a surrogate gradient; False in the view of `forward_only`."""
    whole: Backend
    """The backend itself, of which this may be the view of `forward_only`."""
    random: Random

    def __getattr__(self, name: str) -> Any:
        """A function of `neko.backend.names`."""

    def scope(self) -> AbstractContextManager[Any]:
        """Where operators keep the precision and place of this backend; the transforms enter it by themselves."""

    def forward_only(self) -> Backend:
        """The same backend for passes that nothing is differentiated through."""

    def asarray(self, x: Any, *, dtype: Any = None) -> Array:
        """An array on the backend's device; floating-point data take its precision, others keep their kind."""

    def scalar(self, x: float) -> Array:
        """A number in the backend's precision that the host can read without a copy from the device."""

    def owns(self, x: Any) -> bool:
        """Whether it is an array of this framework."""

    def to_numpy(self, x: Array) -> Any:
        """A NumPy array."""

    def einsum(self, subscripts: str, *operands: Array) -> Array:
        """Sum of products by Einstein's convention."""

    def stop_gradient(self, x: Array) -> Array:
        """`x`, with zero tangent and zero cotangent."""

    def value_and_grad(
        self, f: Callable[..., Any], has_aux: bool = False, recorded: Callable[[Any], None] | None = None
    ) -> Callable[..., Any]:
        """``(params, *args) -> (f, ∂f/∂params)``; with `has_aux`, f returns (value, other).

        `recorded` is called with a tree like `params` of bool: whether a path of derivatives leads from a parameter to
        the value; if not, the gradient is zero by structure. It is called each time f is traced, or run where nothing
        compiles.
        """

    def jvp(self, f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
        """f and its directional derivative."""

    def vjp(self, f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
        """f and the function from cotangents to the gradients by each primal."""

    def columnwise_jacobian(self, f: Callable[..., Any], *primals: Array) -> tuple[tuple[Array | None, ...], ...]:
        """``J[output][input]`` of an element-wise function, each of the primals' shape, None where it is zero
        by the structure of the function."""

    def scan(
        self, f: Callable[..., Any], carry: Any, xs: Any, *, length: int | None = None, reverse: bool = False
    ) -> tuple[Any, Any]:
        """``carry, y = f(carry, x)`` along the leading axis of `xs`; the last carry and all y, in the order of xs."""

    def jit(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """f, compiled where the framework compiles."""

    def dense(self, a: Array, w: Array) -> Array:
        """``a @ w`` of an array (…, p) and a matrix (p, n), in the precision of `products`."""

    def outer_sum(self, pre: Array, post: Array) -> Array:
        """``Σ_t Σ_b pre ⊗ post`` of arrays (time, batch, …), a matrix."""

    def project(self, a: Array, w: Array) -> Array:
        """``a @ w`` of arrays (time, batch, p) and (p, n), fast if most entries of `a` are zero."""

    def weighted_sum(self, a: Array, weight: Array) -> Array:
        """``Σ_t weight_t a_t`` of arrays (time, batch, n) and (time, batch)."""

    def leaky_filter(self, kappa: float, drive: Array, start: Array, reverse: bool) -> tuple[Array, Array]:
        """``f_t = κ f_{t-1} + drive_t`` along the leading axis, or from its end; the last f and all of them."""

    def kernels(self, cell: Any, state: Any) -> Offer:
        """The layer of a cell by generated kernels, for states with the fields of `state`, or why there is none."""

    def elementwise(self, f: Callable[..., Any], constants: Any, key: Any, *arrays: Any) -> Any:
        """``f(xp, constants, key, *arrays)`` of an element-wise function, in one pass over memory where possible.

        Arrays are trees of tuples, all of one shape beside scalars, and nothing is differentiated. f draws random
        numbers of that shape from `key` or None; its other constants are the attributes of the object `constants`.
        """

    def finite(self, x: Array) -> Array:
        """Whether all entries are finite, a scalar."""

    def known(self, condition: Array) -> bool | None:
        """The truth of a scalar if the host can read it now, without waiting for the device; else None."""

    def same(self, a: Array, b: Array) -> bool | None:
        """Whether all entries of two arrays are equal, if the host can tell now; else None."""

    def optimizer(self, spec: Any) -> Any:
        """An update from a name or from an optimizer of the framework."""

    @property
    def threads(self) -> int | None:
        """Threads of an operation, which the order of its sums may depend on; None where only the environment of the
        process says so."""

    def use_threads(self, count: int | None) -> None:
        """Use as many threads as another process, which has the same environment, by its `threads`."""


def scan_length(columns: list[Array], length: int | None) -> int:
    """Number of steps of a scan from its arrays, or as given where it has none."""
    if columns:
        return int(columns[0].shape[0])
    if length is None:
        raise ValueError("scan over no arrays: expected length, the number of steps")
    return length


class Compiled:
    """A function in a backend's scope, compiled by `compiler` when it is first called.

    A copy, also by pickle, is compiled again, since the compiled function belongs to the original object.
    """

    def __init__(self, xp: Any, compiler: Callable[[Any], Any], f: Callable[..., Any]) -> None:
        self.made_of = (xp, compiler, f)
        self.run: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        xp, compiler, f = self.made_of
        if self.run is None:
            self.run = compiler(f)
        with xp.scope():
            return self.run(*args)

    def __reduce__(self) -> Any:
        return Compiled, self.made_of


class Framework:
    """What all backends share: precision and device, pickling by name, and the view of `forward_only`."""

    name: str

    def __init__(
        self, dtype_name: str, dtype: Any, place: str | None, device: Any, products: str | None = None
    ) -> None:
        self.dtype_name = dtype_name
        self.dtype = dtype
        self.place = place
        self.device = device
        self.products = products
        self.differentiable = True
        self.whole: Any = self
        self.forward_view: Any = None

    def dense(self, a: Any, w: Any) -> Any:
        return a @ w

    def outer_sum(self: Any, pre: Any, post: Any) -> Any:
        rows = pre.shape[0] * pre.shape[1]
        columns = self.matrix_transpose(self.reshape(pre, (rows, pre.shape[2])))
        return self.dense(columns, self.reshape(post, (rows, post.shape[2])))

    def project(self, a: Any, w: Any) -> Any:
        return self.dense(a, w)

    def weighted_sum(self: Any, a: Any, weight: Any) -> Any:
        return self.sum(a * self.expand_dims(weight, axis=-1), axis=0)

    def leaky_filter(self: Any, kappa: float, drive: Any, start: Any, reverse: bool) -> Any:
        def step(f: Any, d: Any) -> tuple[Any, Any]:
            f = kappa * f + d
            return f, f

        return self.scan(step, start, drive, reverse=reverse)

    def kernels(self, cell: Any, state: Any) -> Offer:
        return Offer(None, f"no kernels are generated for {self.name}")

    def elementwise(self, f: Callable[..., Any], constants: Any, key: Any, *arrays: Any) -> Any:
        return f(self, constants, key, *arrays)

    def finite(self: Any, x: Any) -> Any:
        return self.all(self.isfinite(x))

    def known(self, condition: Any) -> bool | None:
        return None

    def same(self, a: Any, b: Any) -> bool | None:
        return None

    @property
    def threads(self) -> int | None:
        return None

    def use_threads(self, count: int | None) -> None:
        pass

    def _creating(self, function: Callable[..., Any], **place: Any) -> Callable[..., Any]:
        def create(*args: Any, dtype: Any = None) -> Any:
            return function(*args, dtype=self.dtype if dtype is None else dtype, **place)

        return create

    def __repr__(self) -> str:
        products = f", products in {self.products}" if self.products else ""
        return f"<{self.name} backend, {self.device or 'default device'}, {self.dtype_name}{products}>"

    def __reduce__(self) -> Any:
        return restored, (self.name, self.place, self.dtype_name, self.differentiable, self.products)

    def forward_only(self) -> Any:
        if self.forward_view is None:
            view = object.__new__(type(self))
            view.__dict__.update(self.__dict__)
            view.differentiable = False
            self.forward_view = view
        return self.forward_view


def restored(name: str, device: str | None, dtype: str, differentiable: bool, products: str | None = None) -> Any:
    """The backend that was pickled or copied: there is one instance of each in a process."""
    from neko import backend

    xp = backend.get(name, device=device, dtype=dtype, products=products)
    return xp if differentiable else xp.forward_only()
