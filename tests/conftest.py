"""Fixtures that locate the real networks which some packages ship."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest


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
