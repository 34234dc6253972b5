"""Any torch.nn.Module."""

from __future__ import annotations

import contextlib
import copy
import inspect
import operator
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from neko import backend as backends
from neko import tree
from neko.errors import GradientError
from neko.io import generators
from neko.models.adapted import Adapted, Applied
from neko.models.asymmetric import Asymmetric, each, with_credit
from neko.models.converters import Converters
from neko.models.outcome import Selector
from neko.models.untouched import Undo, transient, untouched
from neko.typing import Array

ENDINGS = {torch.nn.Softmax: "softmax", torch.nn.LogSoftmax: "log_softmax", torch.nn.Sigmoid: "sigmoid"}


class TorchModule(Adapted):
    """A `torch.nn.Module` by `torch.func.functional_call`.

    Parameters with ``requires_grad=False`` are not trained; a parameter used in several places is trained once. A
    training pass runs the module in training mode, except for submodules that the user set to evaluation mode while the
    module itself is in training mode; any other pass runs all of it in evaluation mode. The modes are restored
    afterwards. Every pass begins with the same buffers that are not persistent, such as a membrane of snnTorch. Of a
    module compiled by `torch.compile` the original module is run and trained.
    """

    def __init__(self, module: torch.nn.Module, task_type: str | None, output: Selector, converters: Any) -> None:
        module = getattr(module, "_orig_mod", module)
        refuse(module)
        first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
        dtype = "float64" if first.dtype == torch.float64 else "float32"
        device = None if first.device.type == "cpu" else str(first.device)
        super().__init__(module, backends.get("torch", device=device, dtype=dtype), task_type, output, converters)
        # The precision in which a module of half precision computes.
        self.half = first.dtype if first.dtype in (torch.float16, torch.bfloat16) else None

    def variables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        trainable = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        passing = transient(self.module)
        return trainable, {name: b for name, b in self.module.named_buffers() if name not in passing}

    def copied(self, variable: Any) -> Array:
        return variable.detach().clone()

    def assign(self, variable: Any, value: Array) -> None:
        # Tensors made in inference mode can only be written in it.
        with torch.inference_mode() if variable.is_inference() else torch.no_grad():
            variable.copy_(value)

    def apply(self, params: dict[str, Array], buffers: dict[str, Array], x: Any, training: bool) -> Applied:
        own = dict(self.module.named_parameters())
        cast = {name: each(operator.methodcaller("to", own[name].dtype), p) for name, p in params.items()}
        pairs = [p for p in cast.values() if isinstance(p, Asymmetric)]
        given = {name: p.forward if isinstance(p, Asymmetric) else p for name, p in cast.items()}
        # Backward passes refuse tensors made in inference mode.
        given |= {name: p.detach().clone() for name, p in own.items() if name not in params and p.is_inference()}
        # A module may write into its buffers or replace them: it gets copies.
        given |= {name: b.detach().clone() for name, b in {**dict(self.module.named_buffers()), **buffers}.items()}
        if self.half is not None:
            x = tree.map(lambda a: a.to(self.half) if a.is_floating_point() else a, x)
        args, named = arguments(x)
        try:
            with mode(self.module, training), crossing(self.xp, pairs, self.converters):
                y = torch.func.functional_call(self.module, given, args, named)
        except RuntimeError as error:
            if "Inference tensors cannot be saved" not in str(error):
                raise
            raise GradientError(
                f"{self!r} makes tensors in inference mode, through which no gradient can be recorded: use "
                "torch.no_grad() in it for what is not to be learnt"
            ) from error
        return Applied(y, {name: given[name].detach() for name in buffers}, 0.0)

    def build(self, example: Any) -> None:
        if not any(is_lazy(a) for a in (*self.module.parameters(), *self.module.buffers())):
            return
        args, named = arguments(example)
        with torch.no_grad(), mode(self.module, False), self.untouched():
            self.module(*args, **named)
            drawn = generators.state()
        # Later random numbers follow those of the weights.
        generators.restore(drawn)

    def untouched(self) -> AbstractContextManager[None]:
        return untouched(self.module, remember, lambda value: isinstance(value, torch.nn.Module))

    def takes_several(self) -> bool:
        given = inspect.signature(self.module.forward).parameters.values()
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(p.default is p.empty and p.kind in kinds for p in given) > 1

    def declared(self) -> str | None:
        last = self.module
        while isinstance(last, torch.nn.Sequential) and len(last):
            last = last[-1]
        return ENDINGS.get(type(last)) if self.output is None else None

    def asymmetric(self) -> dict[str, int]:
        owners: dict[int, list[tuple[torch.nn.Module, str]]] = {}
        for submodule in self.module.modules():
            for name, p in submodule.named_parameters(recurse=False):
                owners.setdefault(id(p), []).append((submodule, name))
        found = {}
        for name, p in self.variables()[0].items():
            if all(isinstance(owner, CROSSED) and own == "weight" for owner, own in owners[id(p)]):
                found[name] = 0
            elif len(p.shape) > 1 and not all(isinstance(owner, EXACT) for owner, _ in owners[id(p)]):
                raise TypeError(
                    f"{name!r} of {type(owners[id(p)][0][0]).__name__} passes credit back in products that are not "
                    "known here: expected Linear and Conv layers, or use BPTT"
                )
        return found

    def clone(self) -> Adapted:
        other = super().clone()
        # The state in attributes is copied too, where that is possible.
        with contextlib.suppress(Exception):
            other.module = copy.deepcopy(self.module)
        return other


CROSSED = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
"""Layers of one product, whose credit may pass back through another weight."""
PRODUCTS = (torch.nn.functional.linear, torch.conv1d, torch.conv2d, torch.conv3d)
EXACT = (torch.nn.Embedding, torch.nn.EmbeddingBag, torch.nn.LayerNorm, torch.nn.RMSNorm)
"""Layers that may have matrices, through which no credit passes, or element by element."""


@contextlib.contextmanager
def crossing(xp: Any, pairs: list[Asymmetric], converters: Converters | None) -> Iterator[None]:
    """A region in which products have converters, and credit passes back through the other matrix of each pair."""
    if not pairs and converters is None:
        yield
        return
    try:
        # A checkpoint runs its part a second time in the backward pass, outside of this region.
        with torch.autograd.graph.disable_saved_tensors_hooks(HOOKS), Crossing(xp, pairs) as region:
            with Converting(xp, converters) if converters is not None else contextlib.nullcontext():
                yield
            region.finish()
    except RuntimeError as error:
        if str(error) != HOOKS:
            raise
        raise GradientError(HOOKS) from error


HOOKS = (
    "a part of the module runs again in the backward pass (torch.utils.checkpoint), where credit would pass back by "
    "the weights as they are, and without converters: leave checkpoints out, or use BPTT without converters"
)


class Converting(TorchFunctionMode):
    """A region in which what enters and what leaves each product passes its converter."""

    def __init__(self, xp: Any, converters: Converters) -> None:
        super().__init__()
        self.xp = xp
        self.converters = converters

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in PRODUCTS:
            return func(*args, **(kwargs or {}))
        return self.product(func, *args, **(kwargs or {}))

    def product(self, func: Any, input: Array, *args: Any, **kwargs: Any) -> Array:
        y = func(self.converters.before(self.xp, input), *args, **kwargs)
        return self.converters.after(self.xp, y)


class Crossing(TorchFunctionMode):
    """A region in which credit passes back through the other matrix of each pair whose weight is in a product."""

    def __init__(self, xp: Any, pairs: list[Asymmetric]) -> None:
        super().__init__()
        self.xp = xp
        self.pairs = {id(pair.forward): pair for pair in pairs}
        self.met: set[int] = set()
        self.touched: dict[int, Any] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in PRODUCTS:
            return self.product(func, *args, **kwargs)
        found = func(*args, **kwargs)
        self.check(func, found, tree.leaves((args, kwargs)))
        return found

    def product(self, func: Any, input: Array, weight: Array, bias: Any = None, *args: Any, **kwargs: Any) -> Array:
        pair = self.pairs.get(id(weight))
        if pair is None:
            found = func(input, weight, bias, *args, **kwargs)
            self.check(func, found, [input, bias])
            return found
        if torch.is_grad_enabled():
            self.met.add(id(weight))
        pair.look(input)
        value = func(input.detach(), weight, bias, *args, **kwargs)
        if pair.backward is None or not input.requires_grad:
            return value
        return with_credit(self.xp, value, func(input, pair.backward, None, *args, **kwargs))

    def check(self, func: Any, found: Any, given: list[Any]) -> None:
        """GradientError where one of the weights has a derivative by another function than a product."""
        own = [id(a) for a in given if id(a) in self.pairs]
        tensors = [a for a in tree.leaves(found) if isinstance(a, torch.Tensor)] if own else []
        if any(a.requires_grad for a in tensors):
            raise used(func)
        if tensors:
            self.touched |= dict.fromkeys(own, func)

    def finish(self) -> None:
        """GradientError where a weight was in no product that is recorded: a function of the person's own may have a
        derivative that PyTorch does not see."""
        for weight, func in self.touched.items():
            if weight not in self.met and torch.is_grad_enabled():
                raise used(func)


def used(func: Any) -> GradientError:
    return GradientError(
        f"a weight of a Linear or Conv layer is used by {getattr(func, '__name__', func)}, where credit would pass "
        "back through it as it is: expected products only, or use BPTT"
    )


def refuse(module: torch.nn.Module) -> None:
    """ValueError for modules that cannot be trained through their parameters alone."""
    kind = type(module).__name__
    if isinstance(module, torch.nn.parallel.DistributedDataParallel) or "FullyShardedDataParallel" in kind:
        raise ValueError(f"a {kind} shares gradients in backward(), which is not called here: give the module in it")
    if isinstance(module, torch.nn.DataParallel):
        raise ValueError("a DataParallel runs copies of its module, which see no other parameters: give its .module")
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"a {kind} of torch.jit cannot run with other parameters: give the original module")
    if isinstance(module, torch.nn.RNNBase) and not module.batch_first:
        raise ValueError(f"{module!r} expects (time, batch, …): create it with batch_first=True")


def arguments(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs by position and by name."""
    if isinstance(x, dict):
        return (), x
    return (tuple(x) if isinstance(x, tuple | list) else (x,)), {}


def is_lazy(a: Any) -> bool:
    """Whether a parameter or buffer has no shape yet."""
    return isinstance(a, torch.nn.parameter.UninitializedTensorMixin)


def remember(value: Any) -> Undo | None:
    """Restores a tensor or random generator; `torch.func.functional_call` restores parameters."""
    if isinstance(value, torch.Generator):
        state = value.get_state()
        return lambda: value.set_state(state)
    if isinstance(value, torch.nn.modules.lazy.LazyModuleMixin):
        return lambda: None  # its first call converts it for good
    if not isinstance(value, torch.Tensor) or isinstance(value, torch.nn.Parameter) or is_lazy(value):
        return None
    saved = value.detach().clone()

    def undo() -> None:
        # A write would break a pending backward pass of the user that needs this tensor.
        if not torch.equal(value, saved):
            with torch.inference_mode() if value.is_inference() else torch.no_grad():
                value.copy_(saved)

    return undo


@contextlib.contextmanager
def mode(module: torch.nn.Module, training: bool) -> Iterator[None]:
    """The module in training or evaluation mode; afterwards every submodule is as it was."""
    if module.training and training:
        yield
        return
    before = [(submodule, submodule.training) for submodule in module.modules()]
    module.train(training)
    try:
        yield
    finally:
        for submodule, was in before:
            submodule.training = was
