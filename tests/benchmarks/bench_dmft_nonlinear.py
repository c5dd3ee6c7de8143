"""What the mean-field theory of nonlinear networks costs, and what recorded accuracy it has; prints one JSON document.

Run ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_dmft_nonlinear.py``.
"""

import json
import math
import resource
import time

import numpy as np

from sdespec.core.linalg import blas_threads
from sdespec.models import DeepNetwork
from sdespec.theory.dmft import SpikedMatrix, overlap_factor
from sdespec.theory.dmft.nonlinear_solver import SiteDynamics


def sphere(dim: int, count: int, seed: int) -> np.ndarray:
    """Rows of norm sqrt(dim)."""
    inputs = np.random.default_rng(seed).standard_normal((dim, count))
    return (inputs * math.sqrt(dim) / np.linalg.norm(inputs, axis=0)).T


def solve(count: int, dim: int, updates: int, samples: int, tolerance: float, seed: int, **fields: float) -> dict:
    """Seconds and ranks of one solution that records the last time only."""
    inputs = sphere(dim, count, seed)
    labels = np.sign(inputs.prod(axis=1)) if dim == 3 else np.where(np.arange(count) % 2, -1.0, 1.0)
    net = DeepNetwork(inputs, labels, 2, **fields)
    dynamics = SiteDynamics(net, samples=samples, seed=0, tolerance=tolerance, responses=True, cap=samples // 2)
    start = time.perf_counter()
    with blas_threads(0):
        record = dynamics.run([updates])[0]
        marched = time.perf_counter() - start
        dynamics.hidden[0].spiked(record, 0, independent=False).solve()
    weight = dynamics.hidden[0]
    return {
        "k": count * updates, "samples": samples, "march_s": marched,
        "outliers_of_one_time_s": time.perf_counter() - start - marched, "ranks": [weight.left.rank, weight.right.rank],
    }  # fmt: skip


def stream(samples: int, activation: str, rate: float, times: list[int]) -> dict:
    """Forty batches of eight new inputs, all of which are looked at in every record: seconds, ranks, outliers."""
    rng = np.random.default_rng(4)
    inputs = np.hstack([rng.standard_normal((10, 8)) for _ in range(40)]).T
    labels = np.tanh(inputs[:, 0] + inputs[:, 1]) + inputs[:, 2] * inputs[:, 3] / 4
    net = DeepNetwork(
        inputs, labels, 2, activation=activation, feature_strength=3.0, learning_rate=rate,
        batches=np.arange(320).reshape(40, 8),
    )  # fmt: skip
    dynamics = SiteDynamics(net, samples=samples, seed=0, tolerance=1e-2, responses=True, cap=samples // 4)
    start = time.perf_counter()
    with blas_threads(0):
        records = dynamics.run(times)
        marched = time.perf_counter() - start
        weight = dynamics.hidden[0]
        found = [weight.spiked(record, 0, independent=False).solve().singular_value for record in records]
    return {
        "k": 320, "samples": samples, "march_s": marched, "outliers_s": time.perf_counter() - start - marched,
        "ranks": [weight.left.rank, weight.right.rank],
        "outliers": {record.time: values.round(3).tolist() for record, values in zip(records, found, strict=True)},
    }  # fmt: skip


class Iterated:
    """The same network of tanh solved by sweeps to a fixed point over whole windows of time, which grow by two updates.

    Kernels and responses are k x k arrays, responses are means of triangular inverses of single sites.
    """

    def __init__(self, net: DeepNetwork, samples: int, response_samples: int, updates: int) -> None:
        self.net, self.count, self.chosen = net, net.n_samples, response_samples
        rng = np.random.default_rng(0)
        half = [rng.standard_normal((self.count * updates, samples // 2)) for _ in range(2)]
        self.forward, self.backward = np.hstack([half[0]] * 2), np.hstack([half[1], -half[1]])
        self.gram = net.inputs @ net.inputs.T / net.n_features
        self.first = np.linalg.cholesky(self.gram) @ np.hstack([rng.standard_normal((self.count, samples // 2))] * 2)
        sign = rng.standard_normal(samples // 2)
        self.read_out = np.concatenate([sign, -sign])[None, :]
        self.step = net.learning_rate * net.gamma / self.count
        self.sweeps = 0

    def run(self, updates: int) -> float:
        """Largest change of an error in the last sweep."""
        size = 0
        self.phi, self.g = np.zeros((0, 0)), np.zeros((0, 0))
        self.a, self.b, self.delta = self.phi, self.phi, np.zeros(0)
        while size < updates:
            more = min(2, updates - size) * self.count
            self.phi, self.g = (np.pad(x, (0, more), "edge" if size else "constant") for x in (self.phi, self.g))
            self.a, self.b = (np.pad(x, (0, more)) for x in (self.a, self.b))
            new = np.tile(self.delta[-self.count :] if size else self.net.targets[:, 0], more // self.count)
            self.delta = np.concatenate([self.delta, new])
            size += more // self.count
            for _ in range(10):
                change = self.sweep(size)
                if change < 1e-6:
                    break
        return change

    def sweep(self, size: int) -> float:
        """Sample both layers once with the present kernels."""
        earlier = np.kron(np.tri(size, k=-1), np.ones((self.count, self.count))) * self.step * self.delta
        full = self.count * size
        lower, upper = earlier * np.tile(self.gram, (size, size)), self.b + earlier * self.g
        fields = np.tile(self.first, (size, 1)), factor(self.g) @ self.backward[:full]
        phi, _, _ = self.march(*fields, lower, upper, size)
        self.a = self.responses(lower, upper)[0]
        lower, upper = self.a + earlier * (phi @ phi.T / phi.shape[1]), earlier
        fields = factor(phi @ phi.T / phi.shape[1]) @ self.forward[:full], np.tile(self.read_out, (full, 1))
        top, z, g = self.march(*fields, lower, upper, size)
        self.b = self.responses(lower, upper)[1]
        self.phi, self.g = phi @ phi.T / phi.shape[1], g @ g.T / g.shape[1]
        delta = np.tile(self.net.targets[:, 0], size) - (z * top).mean(axis=1) / self.net.gamma
        change = float(np.abs(delta - self.delta).max())
        self.delta = delta
        self.sweeps += 1
        return change

    def march(self, u: np.ndarray, r: np.ndarray, lower: np.ndarray, upper: np.ndarray, size: int) -> tuple:
        """Activations, backward fields before and after the slope, of all sites of a layer."""
        phi, z, g = (np.empty_like(u) for _ in range(3))
        for time_ in range(size):
            now = slice(time_ * self.count, (time_ + 1) * self.count)
            phi[now] = np.tanh(u[now] + lower[now, : now.start] @ g[: now.start])
            z[now] = r[now] + upper[now, : now.stop] @ phi[: now.stop]
            g[now] = (1 - phi[now] ** 2) * z[now]
        self.site = phi[:, : self.chosen].T, z[:, : self.chosen].T
        return phi, z, g

    def responses(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means of the slopes of activations by r, and of backward fields by u."""
        totals = np.zeros((2, *lower.shape))
        for phi, z in zip(*self.site, strict=True):
            slope = 1 - phi**2
            inner = slope[:, None] * upper * slope + np.diag(-2 * phi * slope * z)
            solved = np.linalg.inv(np.eye(len(phi)) - lower @ inner)
            totals += slope[:, None] * (solved @ lower) * slope, inner @ solved
        return totals[0] / self.chosen, totals[1] / self.chosen

    def outlier(self, time_: int) -> list[float]:
        """Outliers before an update."""
        past = slice(0, self.count * time_)
        kernels = (overlap_factor(kernel[past, past]) for kernel in (self.g, self.phi))
        coupling = self.step * self.delta[past]
        return SpikedMatrix(*kernels, coupling, self.a[past, past], self.b[past, past]).solve().singular_value.tolist()


def factor(kernel: np.ndarray) -> np.ndarray:
    """Lower triangular factor of a semidefinite matrix."""
    values, vectors = np.linalg.eigh(kernel)
    upper = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T)[1]
    return (upper * np.where(np.diagonal(upper) < 0, -1.0, 1.0)[:, None]).T


def ratio() -> dict:
    """Causal pass against the iterated form, three samples and twenty updates."""
    net = DeepNetwork(sphere(20, 3, 7), [1.0, -1.0, 1.0], 2, feature_strength=2.0, learning_rate=0.5)
    with blas_threads(0):
        start = time.perf_counter()
        other = Iterated(net, 4000, 1000, 20)
        change = other.run(20)
        slow = time.perf_counter() - start
        dynamics = SiteDynamics(net, samples=4000, seed=0, tolerance=1e-2, responses=True, cap=1000)
        start = time.perf_counter()
        record = dynamics.run([19])[0]
        fast = time.perf_counter() - start
        found = dynamics.hidden[0].spiked(record, 0, independent=False).solve().singular_value.tolist()
    return {
        "iterated_s": slow, "sweeps": other.sweeps, "last_change": change, "causal_s": fast, "ratio": slow / fast,
        "outlier_iterated": other.outlier(19), "outlier_causal": found,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    report = {
        "P=3, T=20": solve(3, 20, 20, 4000, 1e-2, 7, feature_strength=2.0, learning_rate=0.5),
        "P=8, T=100": solve(8, 20, 100, 4000, 1e-2, 1, feature_strength=2.0, learning_rate=0.5),
        "P=16, T=240": solve(16, 3, 240, 4000, 3e-2, 0, feature_strength=0.5, learning_rate=1.5),
        "P=16, T=240, 8000": solve(16, 3, 240, 8000, 3e-2, 0, feature_strength=0.5, learning_rate=1.5),
    }
    report["stream, tanh"] = stream(8000, "tanh", 0.5, [5, 10, 20, 39])
    report["stream, relu"] = stream(8000, "relu", 0.3, [5, 10, 20, 39])
    report["against the iterated form"] = ratio()
    report["peak_memory_MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
