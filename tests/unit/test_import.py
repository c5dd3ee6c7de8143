"""What an import costs and shows."""

import subprocess
import sys

import pytest

import sdespec

HEAVY = ("numba", "scipy", "scipy.stats", "matplotlib", "torch", "xarray", "numpy", "h5netcdf", "pydantic")


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_import_loads_nothing_heavy_and_prints_nothing():
    done = _run(f"import sys, sdespec; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert done.returncode == 0
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_the_verbs_need_neither_scipy_stats_nor_pyplot_nor_torch():
    code = (
        "import sys, numpy as np, sdespec as sd\n"
        "sd.fit({'w': np.random.default_rng(0).normal(size=(60, 80))}, bootstrap=0)\n"
        "print([name for name in ('scipy.stats', 'matplotlib.pyplot', 'torch') if name in sys.modules])"
    )
    done = _run(code)
    assert done.stdout.strip() == "[]", done.stderr
    assert done.stderr == ""


def test_help_loads_no_numerics():
    done = _run(
        "import sys\nfrom sdespec.cli import main\ncode = main(['--help'])\n"
        "print([name for name in ('numpy', 'numba', 'xarray', 'matplotlib', 'pydantic') if name in sys.modules], code)"
    )
    assert done.stdout.strip().splitlines()[-1] == "[] 0"


@pytest.mark.parametrize("name", sdespec.__all__)
def test_every_public_name_loads(name):
    assert getattr(sdespec, name) is not None
    assert name in dir(sdespec)


def test_star_import_gives_the_public_names():
    namespace: dict[str, object] = {}
    exec("from sdespec import *", namespace)
    assert set(sdespec.__all__) <= set(namespace)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="measure"):
        sdespec.simulte  # noqa: B018 - the access is the test


def test_version():
    assert sdespec.__version__.count(".") == 2
