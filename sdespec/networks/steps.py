"""Folders of checkpoints that were saved at several steps of one training."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sdespec.core.errors import UsageError
from sdespec.networks.reader import checkpoint_suffixes

__all__ = ["find_steps", "step_of"]

_STEP = re.compile(r"(?<![a-z])(?:global[_-]?)?steps?[_=-]?(\d+)", re.IGNORECASE)
_OTHER = re.compile(r"(?<![a-z])(?:iter(?:ation)?s?|updates?|checkpoint|ckpt)[_=-]?(\d+)", re.IGNORECASE)


def step_of(name: str) -> int | None:
    """Number of updates that the name of a checkpoint tells.

    Parameters
    ----------
    name : str
        Such as ``step1000``, ``checkpoint-1160000``, ``step_1000.pt`` or ``epoch=3-step=1000.ckpt``.

    Returns
    -------
    int or None
        None where the name tells nothing.

    Examples
    --------
    >>> [step_of(name) for name in ("step1000", "checkpoint-20", "epoch=3-step=7.ckpt", "epoch_3.pt", "model.npz")]
    [1000, 20, 7, None, None]
    """
    for pattern in (_STEP, _OTHER):
        found = pattern.findall(name)
        if found:
            return int(found[-1])
    return None


def find_steps(folder: str | os.PathLike[str]) -> list[tuple[int, Path]]:
    """Checkpoints of a folder by their steps, in numeric order.

    Parameters
    ----------
    folder : path
        Its entries may be files or folders.

    Returns
    -------
    list of (int, Path)
        Empty where no name tells a step.

    Raises
    ------
    UsageError
        If two checkpoints tell the same step.
    """
    found: dict[int, Path] = {}
    for entry in sorted(Path(folder).iterdir()):
        if not entry.is_dir() and entry.suffix.lower() not in checkpoint_suffixes:
            continue
        step = step_of(entry.name)
        if step is None:
            continue
        if step in found:
            raise UsageError(
                f"{folder}: {found[step].name} and {entry.name} are both of step {step}; measure one of them"
            )
        found[step] = entry
    return sorted(found.items())
