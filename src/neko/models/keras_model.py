"""Any keras.Model of Keras 3, on TensorFlow, PyTorch or JAX."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.models.functional import Functional

from neko import backend as backends
from neko import tree
from neko.models.adapted import Adapted, Applied
from neko.models.asymmetric import Asymmetric, with_credit
from neko.models.converters import Converters
from neko.models.outcome import Selector
from neko.models.untouched import Undo, untouched
from neko.typing import Array

ENDINGS = ("softmax", "log_softmax", "sigmoid")
COUNTED = re.compile(r"^(variable)_\d+$")
"""Keras' name for a variable without a name, with a counter over the whole process."""


class KerasModel(Adapted):
    """A `keras.Model` by `stateless_call`.

    Variables with ``trainable=False`` are its buffers, which only the model itself changes in a training pass (moving
    averages, states, seed generators). Names are by position within the model, ``layers.0.kernel``. Regularizers and
    other losses of the model itself are the penalty of a pass; constraints are applied to updated parameters. Unlike in
    Keras' own training, the loss is not scaled under ``mixed_float16``.
    """

    def __init__(self, module: keras.Model, task_type: str | None, output: Selector, converters: Any) -> None:
        double = "float64" in (module.variable_dtype, *(v.dtype for v in module.weights))
        dtype = "float64" if double else "float32"
        xp = backends.get(keras.backend.backend(), device=accelerator(), dtype=dtype)
        super().__init__(module, xp, task_type, output, converters)
        self._found: dict[str, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy has its own variables.
        return {**self.__dict__, "_found": None}

    def variables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        learnt = {id(v) for v in self.module.trainable_variables}
        # Once the model has its weights, the variables are always the same objects.
        found = self._found or named(self.module)
        if self._shapes:
            self._found = found
        trainable = {name: v for name, v in found.items() if id(v) in learnt}
        return trainable, {name: v for name, v in found.items() if id(v) not in learnt}

    def copied(self, variable: Any) -> Array:
        return keras.ops.stop_gradient(keras.ops.copy(variable.value))

    def assign(self, variable: Any, value: Array) -> None:
        variable.assign(value)

    def apply(self, params: dict[str, Array], buffers: dict[str, Array], x: Any, training: bool) -> Applied:
        model = self.module
        trainable, other = self.variables()
        pairs = {name: p for name, p in params.items() if isinstance(p, Asymmetric)}
        given = {**buffers, **params, **{name: pair.forward for name, pair in pairs.items()}}
        mapping = [(v, given[name]) for name, v in {**trainable, **other}.items()]
        options = {"training": training} if model._call_has_training_arg else {}
        # The scope of `stateless_call` around a whole call, so that layers inherit `training` and mixed precision.
        model._clear_losses()
        scope = keras.StatelessScope(mapping, collect_losses=True)
        with scope, self.crossing(pairs), self.converting():
            y = model(self.fitted(x), **options)
            losses = [keras.ops.cast(loss, self.xp.dtype_name) for loss in model.losses]
            changed = {name: scope.get_current_value(v) for name, v in other.items()}
        model._clear_losses()
        return Applied(y, changed, sum(losses) if losses else 0.0)

    @contextmanager
    def crossing(self, pairs: dict[str, Asymmetric]) -> Iterator[None]:
        """A region in which credit passes back through the other matrix of each pair, by the name of its kernel."""
        trainable = self.variables()[0] if pairs else {}
        kernels = {id(trainable[name]): pair for name, pair in pairs.items()}
        with ExitStack() as exits:
            for layer in self.module._flatten_layers() if pairs else ():
                pair = kernels.get(id(getattr(layer, "kernel", None)))
                if pair is not None:
                    exits.enter_context(replaced(layer, call=functools.partial(crossed, self.xp, layer, pair)))
            yield

    @contextmanager
    def converting(self) -> Iterator[None]:
        """A region in which what enters and what leaves each product passes its converter."""
        converters = self.converters
        if converters is None:
            yield
            return
        with ExitStack() as exits:
            for layer in self.module._flatten_layers():
                if type(layer) in CROSSED:
                    call = functools.partial(between, self.xp, converters, layer, layer.call)
                    exits.enter_context(replaced(layer, call=call))
            yield

    def asymmetric(self) -> dict[str, int]:
        names = {id(v): name for name, v in self.variables()[0].items()}
        found = {}
        for layer in self.module._flatten_layers():
            for variable in layer._trainable_variables:
                name = names.get(id(variable))
                if name is None or len(variable.shape) < 2 or isinstance(layer, EXACT):
                    continue
                if type(layer) not in CROSSED or variable is not layer.kernel:
                    raise TypeError(
                        f"{name!r} of {type(layer).__name__} passes credit back in products that are not known here: "
                        "expected Dense and Conv layers, or use BPTT"
                    )
                found[name] = -1
        return found

    def fitted(self, x: Any) -> Any:
        """Several inputs in the order, or by the names, of a functional model."""
        if not isinstance(x, tuple | list | dict) or not isinstance(self.module, Functional):
            return x
        names = [tensor.name for tensor in self.module.inputs]
        if isinstance(x, dict):
            unknown = sorted(set(x) ^ set(names))
            if unknown and not isinstance(self.module._inputs_struct, dict):
                raise ValueError(f"x has inputs {sorted(x)!r}: {self!r} has {names!r}")
            return x if isinstance(self.module._inputs_struct, dict) else [x[name] for name in names]
        if len(x) != len(names):
            raise ValueError(f"x has {len(x)} inputs: {self!r} has {len(names)}, {names!r}")
        return tree.rebuild(self.module._inputs_struct, iter(x))

    def build(self, example: Any) -> None:
        if all(layer.built for layer in self.module._flatten_layers()):
            return
        # By shapes alone where possible, which does not change the model's state.
        with suppress(Exception):
            symbols = tree.map(lambda a: keras.KerasTensor(a.shape, keras.backend.standardize_dtype(a.dtype)), example)
            self.module(self.fitted(symbols))
        if not all(layer.built for layer in self.module._flatten_layers()):
            self.module(self.fitted(example))

    @contextmanager
    def untouched(self) -> Iterator[None]:
        drawn = global_state.get_global_attribute("global_seed_generator")
        start = None if drawn is None else keras.ops.copy(drawn.state.value)
        with untouched(self.module, remember, lambda value: isinstance(value, keras.Layer)):
            yield
        if start is not None:
            drawn.state.assign(start)

    def takes_several(self) -> bool:
        if isinstance(self.module, Functional):
            return len(self.module.inputs) > 1
        return not isinstance(self.module, keras.Sequential)

    def declared(self) -> str | None:
        outputs = getattr(self.module, "outputs", None)
        if not outputs or callable(self.output):
            return None
        struct = self.module._outputs_struct if isinstance(self.module, Functional) else outputs[0]
        with suppress(KeyError, IndexError, TypeError):
            return activation(struct if self.output is None else struct[self.output])
        return None

    def constrain(self, params: dict[str, Array]) -> dict[str, Array]:
        own = self.variables()[0]
        return {
            name: p if own[name].constraint is None else keras.ops.cast(own[name].constraint(p), self.xp.dtype_name)
            for name, p in params.items()
        }


CROSSED = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
"""Layers of one product, whose credit may pass back through another kernel."""
EXACT = (
    *(keras.layers.Embedding, keras.layers.BatchNormalization, keras.layers.GroupNormalization),
    *(keras.layers.LayerNormalization, keras.layers.RMSNormalization, keras.layers.PReLU),
)
"""Layers that may have matrices, through which no credit passes, or element by element."""


@contextmanager
def replaced(layer: Any, **attributes: Any) -> Iterator[None]:
    """A region in which a layer has other attributes, past Keras' tracking."""
    before = {name: vars(layer)[name] for name in attributes if name in vars(layer)}
    vars(layer).update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del vars(layer)[name]
        vars(layer).update(before)


def crossed(xp: Any, layer: Any, pair: Asymmetric, inputs: Any, **options: Any) -> Any:
    """The call of a layer of one product, with the credit of its inputs through the other kernel of a pair."""
    pair.look(inputs)
    whole = functools.partial(type(layer).call, layer, **options)
    with replaced(layer, activation=None):
        y = whole(keras.ops.stop_gradient(inputs))
        if pair.backward is not None:
            held = [] if layer.bias is None else [(layer.bias, keras.ops.stop_gradient(layer.bias.value))]
            with keras.StatelessScope([(layer.kernel, pair.backward), *held]):
                through = whole(inputs)
            y = with_credit(xp, y, through)
    return y if layer.activation is None else layer.activation(y)


def between(xp: Any, converters: Converters, layer: Any, call: Any, inputs: Any, **options: Any) -> Any:
    """The call of a layer of one product between its converters."""
    with replaced(layer, activation=None):
        y = converters.after(xp, call(converters.before(xp, inputs), **options))
    return y if layer.activation is None else layer.activation(y)


def accelerator() -> str | None:
    """The device of Keras' variables; None for the CPU, and where the backend moves arrays by itself."""
    probe = keras.ops.zeros(())
    if keras.backend.backend() == "torch":
        return None if probe.device.type == "cpu" else str(probe.device)
    if keras.backend.backend() == "jax":
        platform = next(iter(probe.devices())).platform
        return None if platform == "cpu" else str(platform)
    return None


def activation(tensor: Any) -> str | None:
    """The activation that a symbolic output comes from."""
    made = tensor._keras_history.operation
    while True:
        if isinstance(made, keras.Sequential | Functional):
            made = made.outputs[0]._keras_history.operation if len(made.outputs) == 1 else None
        elif isinstance(made, keras.layers.TimeDistributed):
            made = made.layer
        else:
            break
    found = getattr(made, "activation", None)
    name = getattr(found, "__name__", None) or re.sub(r"(?<!^)(?=[A-Z])", "_", type(made).__name__).lower()
    return name if name in ENDINGS else None


def remember(value: Any) -> Undo | None:
    """Restores an array of Keras' backend; None for others."""
    if isinstance(value, keras.Variable):
        return lambda: None  # stateless calls do not change variables
    if keras.backend.backend() == "torch":
        from neko.models import torch_module

        return torch_module.remember(value)
    return None


def variables_in(value: Any) -> list[Any]:
    """The variables of an attribute: itself, or those in a list, tuple or dict."""
    if isinstance(value, keras.Variable):
        return [value]
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [entry for entry in entries if isinstance(entry, keras.Variable)]


def named(model: keras.Model) -> dict[str, Any]:
    """All variables of a model, by position within it and their own names, the same in every process."""
    found: dict[str, Any] = {}
    known: set[int] = set()

    def visit(layer: Any, path: str) -> None:
        own = [*layer._trainable_variables, *layer._non_trainable_variables]
        # The states of a stateful RNN are among its attributes only.
        states = [v for value in vars(layer).values() for v in variables_in(value)]
        for variable in [*own, *(generator.state for generator in layer._seed_generators), *states]:
            if id(variable) in known:
                continue
            known.add(id(variable))
            stem = path + COUNTED.sub(r"\1", re.sub(r"[^0-9A-Za-z_]", "_", variable.name))
            name, count = stem, 1
            while name in found:
                name, count = f"{stem}_{count}", count + 1
            found[name] = variable
        seen: list[Any] = []
        for child in layer._layers:
            if not isinstance(child, keras.layers.InputLayer) and not any(child is other for other in seen):
                visit(child, f"{path}layers.{len(seen)}.")
                seen.append(child)

    visit(model, "")
    return found
