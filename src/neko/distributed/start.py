"""From a backend to the processes and devices on which a distributed run computes."""

from __future__ import annotations

from typing import Any

from neko.distributed.world import World


def join(name: str) -> None:
    """Join the other hosts of a run on JAX, before anything is computed; nothing is done for other frameworks.

    The address is that of ``JAX_COORDINATOR_ADDRESS``, ``JAX_NUM_PROCESSES`` and ``JAX_PROCESS_ID``; without them there
    is one host. ``neko train --distributed`` calls it; a script calls it first, or `jax.distributed.initialize`.

    Parameters
    ----------
    name : str
        Name of the backend.

    Raises
    ------
    WorldError
        If the hosts do not find each other, or JAX has computed before.
    """
    if name == "jax":
        from neko.distributed import _jax

        _jax.join()


def start(xp: Any) -> World:
    """The processes and devices of a distributed run, joined at the first call of a process.

    The examples of each batch are divided among all, and what a rule takes from them, gradients and measures, is that
    of the whole batch: updates, devices' pulses and feedback weights are then the same everywhere, and equal those of
    one process to rounding.

    * PyTorch: one process per part, started by ``torchrun`` (or any launcher that sets RANK, WORLD_SIZE, MASTER_ADDR
      and MASTER_PORT), as for ``DistributedDataParallel``; sums go over NCCL on CUDA devices, over Gloo on processors.
    * JAX: all devices that JAX sees, by sharding of the batch over a mesh of them; of several hosts after `join`.

    Parameters
    ----------
    xp : Backend
        That of the model.

    Raises
    ------
    ValueError
        For TensorFlow, whose strategies replicate variables that Keras owns and not the pure functions of rules, and
        without the launcher's variables.
    WorldError
        If the processes do not find each other.
    """
    if xp.name == "torch":
        from neko.distributed._torch import TorchWorld

        return TorchWorld(xp.device)
    if xp.name == "jax":
        from neko.distributed._jax import JaxWorld

        return JaxWorld(xp)
    raise ValueError(
        f"distributed: {xp.name} runs by itself only: expected a model on the torch backend (torchrun) or on jax"
    )
