"""A checkpoint end to end, against WeightWatcher on the same matrices in the same run; prints one JSON document.

Run: python tests/benchmarks/bench_checkpoint.py MODEL.safetensors
Needs torch and weightwatcher for the peer; without them only the times of this package are given.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import sdespec as sd


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peer(path: Path) -> dict[str, float] | str:
    """Times of WeightWatcher with its randomised baseline and bulk fit, with the baseline, and plain."""
    try:
        import torch
        import weightwatcher
        from safetensors.torch import load_file
    except ImportError as error:
        return f"not measured: {error}"
    logging.disable(logging.CRITICAL)
    model = torch.nn.Module()
    for name, value in load_file(path).items():
        if value.ndim == 2:
            layer = torch.nn.Linear(value.shape[1], value.shape[0], bias=False)
            layer.weight.data = value.float()
            model.add_module(name.replace(".", "_"), layer)
    watcher = weightwatcher.WeightWatcher(model=model)
    return {
        "baseline and bulk fit": seconds(lambda: watcher.analyze(randomize=True, mp_fit=True)),
        "baseline": seconds(lambda: watcher.analyze(randomize=True)),
        "plain": seconds(lambda: watcher.analyze()),
    }


def main() -> None:
    """Measure with the shuffled null and fit bulk, tail and laws; first call, second call, with resamples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    warnings.simplefilter("ignore")
    ours = {
        "first call": seconds(lambda: sd.fit(sd.measure(path), bootstrap=0)),
        "second call": seconds(lambda: sd.fit(sd.measure(path), bootstrap=0)),
        "200 resamples and nulls a matrix": seconds(lambda: sd.fit(sd.measure(path))),
    }
    theirs = peer(path)
    out: dict[str, object] = {"cores": os.cpu_count(), "sdespec": ours, "weightwatcher": theirs}
    if isinstance(theirs, dict):
        out["ratio"] = theirs["baseline and bulk fit"] / ours["second call"]
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
