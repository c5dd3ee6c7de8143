"""Train the small network whose checkpoints are the demonstration data of sdespec.

A multilayer perceptron learns scikit-learn's handwritten digits (8 x 8 pixels, ten classes) by stochastic gradient
descent. Its weights are written before the first step, at geometrically spaced steps and at the end, one safetensors
file a step, with a ``PROVENANCE.md`` beside them that holds the SHA-256 of each file. The network is so set up that
its matrices end in different, known states:

``hidden.0.weight``, ``hidden.1.weight``, ``hidden.2.weight``, ``readout.weight``
    trained; outliers grow out of the bulk, which shrinks by weight decay;
``unused.frozen.weight``
    in no optimiser: at its initial uniform law for ever;
``unused.decayed.weight``
    weights of an auxiliary map whose loss has the coefficient zero: weight decay shrinks it and no gradient reaches
    it, so that it is its initial value times (1 - learning_rate * weight_decay)^step.

All matrices start uniform on [-b, b] with b = 1 / sqrt(number of columns).

Run with torch and scikit-learn installed::

    python studies/train_demo_network.py --out sdespec/demo/data/digits_mlp --seed 0

One run takes a few seconds. The same torch version on the same kind of processor gives the same files to the bit: one
thread, deterministic algorithms, every random number from a seeded generator, headers written in sorted order.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import sklearn
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Data", "DigitsNetwork", "Settings", "initialize", "load_data", "main", "to_bytes", "train"]

DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "sdespec" / "demo" / "data" / "digits_mlp"
N_CLASSES = 10


@dataclass(frozen=True)
class Settings:
    """Every number that the result depends on, besides the versions of torch and scikit-learn."""

    seed: int = 0
    split_seed: int = 0
    test_share: float = 0.25
    hidden: tuple[int, ...] = (128, 128, 96)
    steps: tuple[int, ...] = (0, 128, 320, 800, 2000)
    learning_rate: float = 0.05
    batch_size: int = 32
    weight_decay: float = 2e-3


@dataclass(frozen=True, eq=False)
class Data:
    """Training and test part of the digits: inputs (n, 64) in float32, labels (n,) in int64."""

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor


class DigitsNetwork(nn.Module):
    """Rectified perceptron with two matrices beside it that take no part in its output."""

    def __init__(self, n_features: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        widths = (n_features, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.readout = nn.Linear(hidden[-1], N_CLASSES)
        self.unused = nn.ModuleDict(
            {name: nn.Linear(n_features, n_features, bias=False) for name in ("frozen", "decayed")}
        )
        self.unused["frozen"].requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores (n, 10) of the inputs (n, 64)."""
        for layer in self.hidden:
            inputs = functional.relu(layer(inputs))
        scores: Tensor = self.readout(inputs)
        return scores

    def auxiliary(self, inputs: Tensor) -> Tensor:
        """Sum of squares of the map ``unused.decayed``, a loss that training multiplies by zero."""
        return self.unused["decayed"](inputs).square().sum()


def load_data(settings: Settings) -> Data:
    """Read the digits and split them, classes in equal shares.

    Pixels 0 ... 16 are divided by 8 and centred on the mean image of the training part.
    """
    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        pixels / 8.0, labels, test_size=settings.test_share, random_state=settings.split_seed, stratify=labels
    )
    mean = train_x.mean(axis=0)
    return Data(
        train_inputs=torch.tensor(train_x - mean, dtype=torch.float32),
        train_labels=torch.tensor(train_y, dtype=torch.int64),
        test_inputs=torch.tensor(test_x - mean, dtype=torch.float32),
        test_labels=torch.tensor(test_y, dtype=torch.int64),
    )


def initialize(network: DigitsNetwork, generator: torch.Generator) -> None:
    """Draw matrices and biases uniformly on [-b, b], b = 1 / sqrt(number of inputs of the layer)."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear):
                bound = 1.0 / math.sqrt(module.in_features)
                for parameter in module.parameters(recurse=False):
                    parameter.uniform_(-bound, bound, generator=generator)


def _scores(network: DigitsNetwork, data: Data) -> dict[str, str]:
    """Training loss and test accuracy as text."""
    with torch.no_grad():
        loss = functional.cross_entropy(network(data.train_inputs), data.train_labels).item()
        hits = (network(data.test_inputs).argmax(dim=1) == data.test_labels).sum().item()
    return {"train_loss": f"{loss:.6f}", "test_accuracy": f"{hits / len(data.test_labels):.4f}"}


def _description(settings: Settings, data: Data) -> dict[str, str]:
    """Provenance that all steps share; safetensors metadata is text."""
    n_features = data.train_inputs.shape[1]
    widths = "-".join(str(width) for width in (n_features, *settings.hidden, N_CLASSES))
    return {
        "data_set": "scikit-learn digits (UCI Optical Recognition of Handwritten Digits, test part), CC BY 4.0",
        "n_train": str(len(data.train_labels)),
        "n_test": str(len(data.test_labels)),
        "split_seed": str(settings.split_seed),
        "preprocessing": "pixels / 8, minus the mean image of the training part",
        "architecture": f"multilayer perceptron {widths}, relu, biases; beside it unused.frozen and unused.decayed, "
        f"each {n_features} x {n_features}",
        "initial_law": "uniform on [-b, b], b = 1 / sqrt(n_cols)",
        "loss": "mean cross-entropy of the readout; the loss of unused.decayed has coefficient 0",
        "optimizer": "SGD without momentum, batches drawn with replacement; unused.frozen is not in the optimiser",
        "learning_rate": repr(settings.learning_rate),
        "batch_size": str(settings.batch_size),
        "weight_decay": repr(settings.weight_decay),
        "seed": str(settings.seed),
        "torch_version": torch.__version__,
        "sklearn_version": sklearn.__version__,
        "script": "studies/train_demo_network.py",
        "license": "BSD-3-Clause",
    }


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Serialise as safetensors with the header in sorted order, since the library's own order is not fixed."""
    raw = safetensors.torch.save(dict(tensors), dict(metadata))
    size = int.from_bytes(raw[:8], "little")
    header = json.dumps(json.loads(raw[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + raw[8 + size :]


def train(settings: Settings) -> dict[int, tuple[bytes, dict[str, str]]]:
    """Train and return, for each step of ``settings.steps``, the file's bytes and its metadata."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = load_data(settings)
    generator = torch.Generator().manual_seed(settings.seed)
    network = DigitsNetwork(data.train_inputs.shape[1], settings.hidden)
    initialize(network, generator)
    optimizer = torch.optim.SGD(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    description = _description(settings, data)
    files = {}
    for step in range(max(settings.steps) + 1):
        if step in settings.steps:
            metadata = description | {"step": str(step)} | _scores(network, data)
            files[step] = (to_bytes(network.state_dict(), metadata), metadata)
        batch = torch.randint(len(data.train_labels), (settings.batch_size,), generator=generator)
        inputs = data.train_inputs[batch]
        loss = functional.cross_entropy(network(inputs), data.train_labels[batch])
        optimizer.zero_grad()
        # the coefficient zero gives zero gradients, not absent ones: the optimiser then applies weight decay
        (loss + 0.0 * network.auxiliary(inputs)).backward()
        optimizer.step()
    return files


def _provenance(files: Mapping[int, tuple[bytes, dict[str, str]]]) -> str:
    """Text of PROVENANCE.md."""
    shared = next(iter(files.values()))[1]
    own = ("step", "train_loss", "test_accuracy")
    lines = [
        "# Checkpoints of a small network trained on handwritten digits",
        "",
        "Made by `studies/train_demo_network.py`. The weights are the work of the sdespec project, BSD-3-Clause. The",
        "data set is scikit-learn's `load_digits`, a copy of the test part of *Optical Recognition of Handwritten",
        "Digits* (E. Alpaydin, C. Kaynak; UCI Machine Learning Repository, CC BY 4.0). No image is contained here.",
        "",
        *[f"- {key}: {value}" for key, value in shared.items() if key not in own],
        "",
        "| file | train loss | test accuracy | SHA-256 |",
        "| --- | --- | --- | --- |",
    ]
    for step, (payload, metadata) in files.items():
        digest = hashlib.sha256(payload).hexdigest()
        lines.append(f"| step_{step}.safetensors | {metadata['train_loss']} | {metadata['test_accuracy']} | {digest} |")
    lines += [
        "",
        "`unused.frozen.weight` never changes. `unused.decayed.weight` is its initial value times",
        "(1 - learning_rate * weight_decay)^step, up to float32 rounding.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Read the command line, train, write the files."""
    parser = argparse.ArgumentParser(description="Train the network of the demonstration data and write its weights.")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="folder for the files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="seed of weights and batches (default: 0)")
    arguments = parser.parse_args()
    files = train(Settings(seed=arguments.seed))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for step, (payload, metadata) in files.items():
        path = arguments.out / f"step_{step}.safetensors"
        path.write_bytes(payload)
        print(f"{path.name}: train loss {metadata['train_loss']}, test accuracy {metadata['test_accuracy']}")
    (arguments.out / "PROVENANCE.md").write_text(_provenance(files), encoding="utf-8")


if __name__ == "__main__":
    main()
