"""The posterior of all seeds of a setting of ``neko sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neko.bayes.posterior import Posterior
from neko.sweeps.sweep import PLAN, Sweep


def posterior(folder: str | Path, **values: Any) -> Posterior:
    """The draws of the trials of one setting that are done, as chains of one posterior.

    Each seed is an independent chain, or as many as the option ``chains`` says.

    Parameters
    ----------
    folder : path
        Folder of a sweep over ``neko sample``.
    values
        Values of varied options, as many as single out one setting.

    Raises
    ------
    ValueError
        If the values fit no setting or several, or none of its trials is done; for a sweep of another command.
    OSError
        If the folder holds no sweep.
    """
    from neko import runs

    found = Sweep(Path(folder) / PLAN, folder)
    if found.plan.kind.command != "sample":
        raise ValueError(f"{folder} is a sweep of neko {found.plan.kind.command}: expected one of neko sample")
    settings = found.settings()
    fitting = [setting for setting in settings if setting.values | values == setting.values]
    if len(fitting) != 1:
        known = [setting.values for setting in settings]
        raise ValueError(f"{values!r} fits {len(fitting)} settings: expected values that fit one of {known!r}")
    (setting,) = fitting
    done = [t.folder for t, o in zip(setting.trials, setting.outcomes, strict=True) if o.state == "done"]
    if not done:
        raise ValueError(f"{values!r}: no trial of this setting is done: expected one at least")
    return Posterior.combine([runs.load(place).rule.posterior for place in done])
