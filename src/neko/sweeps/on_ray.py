"""Trials as tasks of Ray, on this machine or a cluster."""

from __future__ import annotations

from typing import Any

from neko.sweeps.processes import limits
from neko.sweeps.trial import Outcome, Trial, failed, perform


class Ray:
    """Tasks of Ray, each with `threads` CPUs; at most `count` at a time, by default as many as there are CPUs.

    With the environment variable ``RAY_ADDRESS`` they run on that cluster, whose machines must see the sweep's folder
    at the same path and have neko installed; otherwise Ray is started on this machine.
    """

    def __init__(self, count: int | None, threads: int) -> None:
        try:
            import ray
        except ImportError as error:
            raise ImportError(
                "engine='ray' needs Ray: pip install 'neko-learning[ray]', or engine='processes'"
            ) from error
        self.ray: Any = ray
        self.count = count
        self.threads = threads
        self.tasks: dict[Any, Trial] = {}

    def __enter__(self) -> Ray:
        variables = {"env_vars": limits(self.threads)}
        self.ray.init(runtime_env=variables, log_to_driver=False, logging_level="error", include_dashboard=False)
        if self.count is None:
            self.count = max(1, int(self.ray.cluster_resources()["CPU"]) // self.threads)
        self.task = self.ray.remote(num_cpus=self.threads, max_retries=0)(perform)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        for task in self.tasks:
            self.ray.cancel(task)  # as Ctrl-C: a checkpoint after the present batch
        if self.tasks:
            self.ray.wait([*self.tasks], num_returns=len(self.tasks))
        self.ray.shutdown()

    @property
    def running(self) -> list[Trial]:
        return [*self.tasks.values()]

    @property
    def free(self) -> bool:
        return self.count is None or len(self.tasks) < self.count

    def submit(self, trial: Trial) -> None:
        self.tasks[self.task.remote(trial)] = trial

    def next(self) -> tuple[Trial, Outcome]:
        """Wait for a trial that ends."""
        (task, *_), _ = self.ray.wait([*self.tasks], num_returns=1)
        trial = self.tasks.pop(task)
        try:
            return trial, self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            return trial, failed(trial, error)
