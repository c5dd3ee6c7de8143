"""Every block of the README runs, in its order, in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _console(block: str, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in block.splitlines():
        if line.startswith("$ "):
            done = subprocess.run(
                line[2:],
                shell=True,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_blocks_run_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert [kind for kind, _ in blocks].count("python") >= 3
    namespace: dict[str, object] = {}
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, str(README), "exec"), namespace)
        elif kind == "console":
            _console(block, tmp_path)
    assert (tmp_path / "fits.html").stat().st_size > 10_000
    assert "spikes" in capsys.readouterr().out
    from matplotlib import pyplot as plt

    plt.close("all")


def test_the_set_up_commands_are_the_first_block_and_those_of_the_pipeline():
    kind, block = BLOCK.findall(README.read_text(encoding="utf-8"))[0]
    first, second = block.splitlines()
    assert kind == "sh"
    assert "pip install -q -e '.[test]'" in first
    assert first.endswith("sdespec demo")
    assert second == ".venv/bin/python -m pytest"
    pipeline = README.with_name(".ci") / "run"
    if not pipeline.exists():  # an sdist has no pipeline
        pytest.fail("the pipeline is missing")
    text = pipeline.read_text(encoding="utf-8")
    assert "pip install -q -e '.[test]'" in text
    assert "-m pytest\n" in text
