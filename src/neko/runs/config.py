"""The options of a run, defined once as the fields of these classes.

The command line (`neko.cli.options`) and the checks of ``config.yaml`` take names, types, defaults, help texts and
least values from the fields. Dataclasses and Typer suffice for plain strings and numbers, without pydantic or tyro.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from neko import backend as backends
from neko.arguments import check_choice, check_integer, check_known, plain
from neko.runs import plans


def option(default: Any, help: str, *, least: int | None = None, flag: str | None = None) -> Any:
    """A field of a configuration: its default (or a function that returns it) and the help text of the command line.

    In the help text ``{module:names}`` is replaced by these names when help is printed; `least` is the smallest
    integer accepted, `flag` the flag of the command line if it is not derived from the name.
    """
    given: dict[str, Any] = {"default_factory" if callable(default) else "default": default}
    return dataclasses.field(**given, metadata={"help": help, "least": least, "flag": flag})


@dataclass(frozen=True)
class Config:
    """Options of every run; equal configurations give equal histories on one machine and backend."""

    command: ClassVar[str]
    chosen: ClassVar[str]
    """Name of the field that selects how the network learns; its value is part of the name of a new folder."""
    network: ClassVar[str | None] = None
    """The network to begin with, for commands that have such an option."""

    data: str = option(
        "digits", "Data set: {neko.datasets:DATASETS}; or file.py:function. With options as in ecg(split='patients')."
    )
    encoder: str | None = option(
        None,
        "Makes spikes of the inputs: {neko.encoders:ENCODERS}; or file.py:Class. "
        "With options as in step_forward(threshold=0.05).",
    )
    cell: str = option(
        "alif",
        "Neuron model: {neko.cells:CELLS}; or file.py:Class. With options as in alif(tau_m=20.0), "
        "for a constant that learns alif(tau_m=learnable(20.0)).",
    )
    hidden: int = option(128, "Number of neurons.", least=1)
    recurrent: bool = option(True, "Whether the neurons are recurrently connected.", flag="--recurrent/--feedforward")
    bidirectional: bool = option(
        False, "Whether a second network reads each sequence from its end.", flag="--bidirectional/--one-direction"
    )
    backend: str = option(backends.default, "{neko.backend:available}; by default the first that is installed.")
    processor: str | None = option(
        None, "Processor, as the framework names it: cpu, cuda:1 of torch, gpu of jax, /GPU:0."
    )
    dtype: str = option("float32", "Precision: {neko.backend:DTYPES}.")
    products: str | None = option(
        None, "Mixed precision: round operands of matrix products to {neko.backend:PRODUCTS}; not with tensorflow."
    )
    converters: str | None = option(
        None,
        "Converters around arrays of analog weights by comma: dac, adc, with bits and range as in "
        "'dac(bits=6, full_scale=4.0), adc(bits=8, full_scale=16.0)'.",
    )
    loss: str | None = option(
        None,
        "Loss: {neko.losses:LOSSES}; or file.py:function. By default categorical_crossentropy, for the "
        "regression of a data set mean_squared_error.",
    )
    metrics: str | None = option(
        None,
        "Metrics by comma: {neko.metrics:METRICS}; or file.py:function. By default accuracy of classes, and the "
        "firing_rate of spiking neurons.",
    )
    target: str = option("every", "Output that the loss evaluates: every step, last, or mean over time.")
    epochs: int = option(30, "Passes over the training data.", least=1)
    batch_size: int = option(128, "Examples per update, or per pass of a sampler.", least=1)
    learning_rate: float = option(1e-3, "Rate of the optimizer.")
    checkpoint_every: int = option(1, "Epochs between two checkpoints.", least=1)
    keep: int = option(3, "Number of checkpoints kept.", least=1)
    seed: int = option(0, "Seed of weights and of the order of examples.", least=0)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = typed(field.name, str(field.type), getattr(self, field.name))
            least = field.metadata["least"]
            if least is not None and value is not None:
                value = check_integer(field.name, value, least=least)
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, options: Any) -> Config:
        """A configuration from a mapping; ValueError for unknown options, with the nearest names."""
        if not isinstance(options, dict):
            raise ValueError(f"options: {options!r}: expected names with values, for example 'data: mnist'")
        check_known("option", options, [field.name for field in dataclasses.fields(cls)])
        return cls(**options)


def first_network() -> Any:
    """The field of a network to begin with."""
    return option(
        None,
        "Begin with the network of this file of `neko import`, in place of cell, hidden, recurrent, bidirectional.",
    )


def other(name: str, default: Any) -> Any:
    """A field of `Config` with another default."""
    (field,) = (field for field in dataclasses.fields(Config) if field.name == name)
    return dataclasses.field(default=default, metadata=field.metadata)


@dataclass(frozen=True)
class TrainConfig(Config):
    """Train a recurrent network with the rule, neuron, optimizer and framework of your choice."""

    command: ClassVar[str] = "train"
    chosen: ClassVar[str] = "rule"

    network: str | None = first_network()  # type: ignore[misc]
    rule: str = option(
        "eprop", "Learning rule: {neko.rules:names}; or file.py:Class. With options as in snap(level=2)."
    )
    optimizer: str = option(
        "adam",
        "What turns gradients into weights: {neko.updates:names}; or file.py:Class. "
        "With options as in mixed_precision(optimizer='adam').",
    )
    learning_rate: float | None = option(  # type: ignore[assignment]
        None, "Rate of the optimizer; by default 1e-3, where pulses follow the changes of an optimizer 0.1."
    )
    device: str | None = option(
        None,
        "Analog device that holds the weights: {neko.devices:DEVICES}; a preset, {neko.devices:PRESETS}; a "
        "file .json of neko device fit; or file.py:Class. With options as in soft_bounds(dg_min_std=0.3).",
    )
    storage: str | None = option(
        None,
        "How devices store a weight: {neko.devices:STORAGES}; by default pair. "
        "With options as in single(reference='symmetry_point').",
    )
    imperfections: str | None = option(
        None,
        "Imperfections by comma, after the device's own: {neko.devices:IMPERFECTIONS}; or file.py:Class. "
        "With options as in 'stuck(at_min=0.05), levels(number=64)'.",
    )
    digital: str | None = option(
        None, "Parameters by comma that lie in no device, with wild cards as in 'readout.*, *.b'."
    )
    seconds: float | None = option(None, "Time between two updates, in which devices drift or decay.")
    firing_rate: float | None = option(None, "Target rate in Hz of a firing-rate regularizer.")
    clip_norm: float | None = option(None, "Scale longer gradients down to this L2 norm.")
    patience: int | None = option(None, "Stop after so many epochs without a better validation loss.", least=1)


@dataclass(frozen=True)
class SampleConfig(Config):
    """Find the posterior of a spiking network's weights, and show the uncertainty of its predictions.

    Options that are not given are those of the method, see the page on Bayesian learning.
    """

    command: ClassVar[str] = "sample"
    chosen: ClassVar[str] = "method"

    data: str = other("data", "mnist1d-step")
    cell: str = other("cell", "lif(bias=True)")
    hidden: int = other("hidden", 1000)
    recurrent: bool = other("recurrent", False)
    epochs: int | None = other("epochs", None)  # type: ignore[assignment]
    batch_size: int | None = other("batch_size", None)  # type: ignore[assignment]
    learning_rate: float | None = other("learning_rate", None)  # type: ignore[assignment]
    checkpoint_every: int | None = other("checkpoint_every", None)  # type: ignore[assignment]
    keep: int = other("keep", 1)
    method: str = option(
        "mean_field", "Method: {neko.bayes:METHODS}; or file.py:Class. With options as in sghmc(friction=0.2)."
    )
    drift: str = option("bptt", "Rule whose gradient drives the method: {neko.rules:names}.")
    prior: float | None = option(None, "Standard deviation of the summed weights onto one neuron.")
    power: float | None = option(None, "Power of the likelihood; 1 is the Bayesian posterior.")
    temperature: float = option(1.0, "Temperature of the posterior; 1 is the Bayesian one.")
    chains: int | None = option(None, "Number of chains of a sampler, or of networks.", least=1)
    warm: int | None = option(
        None, "Chains that start from networks trained by Adam; the others start from the prior.", least=0
    )
    pretrain: int | None = option(None, "Epochs of Adam before a warm chain.", least=1)
    warmup: int | None = option(None, "Epochs of a sampler whose draws are discarded.", least=0)
    thinning: int | None = option(None, "Epochs of a sampler between two draws.", least=1)
    step_size: float | None = option(None, "Step size of a sampler at the start.")
    schedule: str | None = option(
        None, "Learning rate of an approximation over all epochs: constant, or cosine, which ends at zero."
    )

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(plans.of(self.method)).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        check_choice("schedule", self.schedule, ("constant", "cosine"))
        super().__post_init__()


@dataclass(frozen=True)
class CompareConfig(Config):
    """Train with one rule and follow how the gradients of others deviate: the paper's figure 4.

    The table lists the hidden weights by layer and kind; the readout, which every rule trains alike, is separate.
    """

    command: ClassVar[str] = "compare"
    chosen: ClassVar[str] = "rules"

    epochs: int = other("epochs", 3)
    network: str | None = first_network()  # type: ignore[misc]
    rules: str = option(
        "bptt,eprop:symmetric,eprop:random,eprop:adaptive",
        "Rules by comma, of {neko.rules:names}; or file.py:Class. With options as in snap(level=2). "
        "The first one trains.",
    )
    every: int = option(1, "Batches between two comparisons.", least=1)
    reference: str | None = option(None, "Rule that the others are compared with; by default the first.")
    report: str | None = option(None, "Also write a page for the browser to this file, and measure costs.")


COMMANDS = {kind.command: kind for kind in (TrainConfig, SampleConfig, CompareConfig)}


def typed(name: str, kind: str, value: Any) -> Any:
    """A value of a field's annotated type; ValueError for any other type."""
    wanted, value = kind.removesuffix(" | None"), plain(value)
    if value is None and wanted != kind:
        return None
    if wanted == "float" and isinstance(value, str | int) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML takes 1e-3 for a string
    if type(value).__name__ != wanted:
        raise ValueError(f"{name}={value!r}: expected {kind.replace('str', 'a name').replace(' | ', ' or ')}")
    return value
