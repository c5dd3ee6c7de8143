"""Fixtures that locate the real networks which some packages ship."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """Small matrices cost up to a hundredfold with several BLAS threads on a busy machine."""
    assert np.linalg.eigvalsh(np.eye(2)).sum() == 2.0  # BLAS must be loaded before it can be limited
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def real_file() -> Callable[[str, str], Path]:
    """Find a file inside an installed package without importing it; a missing package is a failure."""

    def find(package: str, file: str) -> Path:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            pytest.fail(f"the package {package!r} is not installed; tests marked 'download' need it")
        path = Path(spec.submodule_search_locations[0]) / file
        if not path.exists():
            pytest.fail(f"the package {package!r} holds no {file}; another version is needed")
        return path

    return find
