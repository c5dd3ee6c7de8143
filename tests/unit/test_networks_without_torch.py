"""What happens to PyTorch checkpoints where torch is not installed."""

import pickle
import sys
import zipfile

import pytest

from sdespec.core.errors import MissingDependencyError
from sdespec.networks import read_tensors


@pytest.fixture
def _no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it now raises ImportError


@pytest.mark.usefixtures("_no_torch")
@pytest.mark.parametrize("zipped", [True, False])
def test_the_install_line_is_given(tmp_path, zipped):
    path = tmp_path / "model.pt"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
    else:
        path.write_bytes(pickle.dumps({}, protocol=2))
    with pytest.raises(MissingDependencyError, match=r"pip install 'sdespec\[torch\]'") as caught:
        read_tensors(path)
    assert caught.value.exit_code == 3
    assert "model.pt" in str(caught.value)
