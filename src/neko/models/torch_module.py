"""Any torch.nn.Module."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import operator
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch

from neko import backend as backends
from neko import tree
from neko.backend import generated
from neko.backend.protocol import Compiled
from neko.errors import GradientError
from neko.io import generators
from neko.models.adapted import Adapted, Applied
from neko.models.asymmetric import Asymmetric, each
from neko.models.outcome import Selector
from neko.models.torch_crossing import CROSSED, EXACT, crossing
from neko.models.untouched import Undo, transient, untouched
from neko.typing import Array

ENDINGS = {torch.nn.Softmax: "softmax", torch.nn.LogSoftmax: "log_softmax", torch.nn.Sigmoid: "sigmoid"}


class TorchModule(Adapted):
    """A `torch.nn.Module` by `torch.func.functional_call`.

    Parameters with ``requires_grad=False`` are not trained; a parameter used in several places is trained once. A
    training pass runs the module in training mode, except for submodules that the user set to evaluation mode while the
    module itself is in training mode; any other pass runs all of it in evaluation mode. The modes are restored
    afterwards. Every pass begins with the same buffers that are not persistent, such as a membrane of snnTorch. Of a
    module compiled by `torch.compile` the original module is run and trained; with `compile` its function of
    parameters, buffers and inputs is compiled.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        task_type: str | None,
        output: Selector,
        converters: Any,
        products: str | None,
        compile: bool,
    ) -> None:
        module = getattr(module, "_orig_mod", module)
        refuse(module)
        first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
        dtype = "float64" if first.dtype == torch.float64 else "float32"
        device = None if first.device.type == "cpu" else str(first.device)
        xp = backends.get("torch", device=device, dtype=dtype, products=products)
        super().__init__(module, xp, task_type, output, converters)
        # The precision in which a module of half precision computes.
        self.half = first.dtype if first.dtype in (torch.float16, torch.bfloat16) else None
        if self.half is not None and products is not None:
            raise ValueError(f"products={products!r} for a module in {self.half}: expected one in float32")
        self._compiled = Compiled(xp, functools.partial(compiled, xp.device), called) if compile else None

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
            with mode(self.module, training), crossing(self.xp, pairs, self.converters), self.rounding():
                as_it_is = pairs or self.converters is not None or generated.PLAIN.get()
                y = (called if as_it_is else self.by_program)(self.module, given, args, named)
        except RuntimeError as error:
            if "Inference tensors cannot be saved" not in str(error):
                raise
            raise GradientError(
                f"{self!r} makes tensors in inference mode, through which no gradient can be recorded: use "
                "torch.no_grad() in it for what is not to be learnt"
            ) from error
        return Applied(y, {name: given[name].detach() for name in buffers}, 0.0)

    def rounding(self) -> AbstractContextManager[Any]:
        """A region in which PyTorch chooses what is computed in bfloat16, if that is wanted."""
        return torch.autocast(self.xp.device.type, torch.bfloat16) if self.xp.products else contextlib.nullcontext()

    def by_program(self, *given: Any) -> Any:
        """As `called`, by the compiled function if there is one; ValueError where it cannot be compiled."""
        if self._compiled is None:
            return called(*given)
        try:
            return self._compiled(*given)
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"compile=True: torch.compile cannot compile {self!r} as a whole: {type(error).__name__}: {reason}. It "
                "needs a C++ compiler and a module of tensor operations only; without compile=True it runs as it is"
            ) from error

    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        with generated.plain():  # a first look at a few examples is not worth a program
            super().prepare(x, batch_size=batch_size)

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


def called(module: torch.nn.Module, given: dict[str, Array], args: Any, named: dict[str, Any]) -> Any:
    """The module as a function of its parameters and buffers."""
    return torch.func.functional_call(module, given, args, named)


def compiled(device: torch.device, f: Any) -> Any:
    """`f`, compiled as a whole, apart from other modules: a program for training and another for evaluation."""
    # A program of two operations shows at once whether there is a compiler; backward passes are compiled too late to
    # tell it here.
    torch.compile(lambda a: torch.sin(a) + 1.0)(torch.ones(2, device=device))
    return torch.compile(f, fullgraph=True, isolate_recompiles=True)


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
