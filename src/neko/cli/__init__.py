"""The command line: ``neko demo``, ``neko train``, ``neko sample``, ``neko compare``."""

from __future__ import annotations

import typer

from neko.cli import comparison, sampling, training

app = typer.Typer(add_completion=False, help="Learning rules of the brain and of neuromorphic hardware.")
app.command()(training.demo)
app.command()(training.train)
app.command()(sampling.sample)
app.command()(comparison.compare)

__all__ = ["app"]
