"""Devices of JAX, on one host or several, over which batches are sharded."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from neko import tree
from neko.distributed.world import World, refuse_other
from neko.errors import WorldError
from neko.identity.fingerprint import digest

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def join() -> None:
    """Join the hosts that the variables name, unless that is done."""
    if all(name in os.environ for name in VARIABLES) and not jax.distributed.is_initialized():
        address, count, number = (os.environ[name] for name in VARIABLES)
        try:
            jax.distributed.initialize(address, int(count), int(number))
        except Exception as error:
            raise WorldError(f"process {number} did not join the others at {address}: {error}") from error


class JaxWorld(World):
    """All devices of the backend's platform; see `neko.distributed.start`.

    A program of JAX computes on the whole batch, and XLA divides it by the sharding of its arguments. A batch that the
    devices do not divide is computed whole on each of them.
    """

    def __init__(self, xp: Any) -> None:
        self.rank = jax.process_index()
        devices = jax.devices(xp.device.platform)
        self.mesh = Mesh(np.array(devices), ("batch",))

    def __repr__(self) -> str:
        return f"<JaxWorld: {self.mesh.size} devices, process {self.rank} of {jax.process_count()}>"

    @property
    def alone(self) -> bool:
        return jax.process_count() == 1

    def place(self, examples: Any) -> Any:
        divided = examples.size % self.mesh.size == 0
        sharding = NamedSharding(self.mesh, PartitionSpec("batch") if divided else PartitionSpec())

        def put(a: Any) -> Any:
            if self.alone:
                return jax.device_put(a, sharding)
            whole = np.asarray(a)  # every host has drawn the same batch
            return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

        x, y, mask = (None if a is None else tree.map(put, a) for a in (examples.x, examples.y, examples.mask))
        return examples._replace(x=x, y=y, mask=mask)

    def agree(self, flag: bool) -> bool:
        return flag if self.alone else bool(multihost_utils.process_allgather(np.asarray(flag)).any())

    def check_equal(self, described: dict[str, Any]) -> None:
        if self.alone:
            return
        own = np.array([list(bytes.fromhex(digest(repr(value).encode()))) for value in described.values()], np.uint8)
        every = multihost_utils.process_allgather(own)
        for rank, found in enumerate(every):
            refuse_other(rank, [name for name, a, b in zip(described, every[0], found, strict=True) if (a != b).any()])
