"""Mean-field dynamics of a nonlinear network of infinite width: one causal pass over samples of single sites."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.models import DeepNetwork
from sdespec.theory.dmft.activation import activate
from sdespec.theory.dmft.feature_bank import FeatureBank
from sdespec.theory.dmft.outliers import SpikedMatrix
from sdespec.theory.dmft.sources import Source
from sdespec.theory.dmft.streams import HiddenState, Passive

__all__ = ["HiddenWeight", "NonlinearRecord", "Progress", "SiteDynamics", "error_and_loss", "estimated_cost"]

Progress = Callable[[int, int, str], None]

_LOSS_LIMIT = 1e6


@dataclass(frozen=True, eq=False)
class NonlinearRecord:
    """What is known of the network before one update.

    Attributes
    ----------
    time : int
        Number of updates.
    output : ndarray, (n_inputs, n_outputs)
        Training inputs first.
    residual : float
        Half of the rms difference of the outputs of the two halves of the pairs: their sampling error.
    train_loss : float
        On all training samples.
    tangent : ndarray, (n_samples * n_outputs,) * 2
        Tangent kernel of the training samples.
    beta : float
        What is left of the initial weights.
    first_layer : ndarray, (n_features,)
        Eigenvalues of the Gram matrix of W0 over the width, descending.
    learned : tuple of ndarray
        Learned part of each hidden weight in the directions that existed before this time.
    features, gradients : tuple of ndarray
        Samples of activations (n_inputs, S) and backward fields (n_samples * n_outputs, S) of each hidden layer,
        where kernels were asked for.
    """

    time: int
    output: np.ndarray
    residual: float
    train_loss: float
    tangent: np.ndarray
    beta: float
    first_layer: np.ndarray
    learned: tuple[np.ndarray, ...]
    features: tuple[np.ndarray, ...] = ()
    gradients: tuple[np.ndarray, ...] = ()


@dataclass(eq=False)
class _Learned:
    """A learned quantity and its velocity under momentum and decay."""

    value: np.ndarray
    velocity: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.velocity = np.zeros_like(self.value)

    def grow(self, shape: tuple[int, ...]) -> None:
        """Pad with zeros: new directions have learned nothing."""
        if shape != self.value.shape:
            pad = [(0, new - old) for new, old in zip(shape, self.value.shape, strict=True)]
            self.value, self.velocity = np.pad(self.value, pad), np.pad(self.velocity, pad)

    def update(self, change: np.ndarray, momentum: float, decay: float) -> None:
        """One step v = momentum v + change - decay w, w = w + v."""
        if momentum == 0.0:
            self.value *= 1.0 - decay
            self.value += change
            return
        self.velocity *= momentum
        self.velocity += change - decay * self.value
        self.value += self.velocity


def error_and_loss(kind: str, targets: np.ndarray, output: np.ndarray) -> tuple[np.ndarray, float]:
    """Negative slope of the loss of each sample in its outputs, and the mean loss of the dataset convention."""
    if kind == "square":
        error = targets - output
        return error, float((error**2).mean())
    shifted = output - output.max(axis=1, keepdims=True)
    log_share = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return targets - np.exp(log_share), float(-(targets * log_share).sum(axis=1).mean())


class HiddenWeight:
    """One hidden matrix: bases of what it reads and of what drives it, their sources, and what it has learned."""

    def __init__(self, model: DeepNetwork, index: int, *, samples: int, seed: int, tolerance: float, cap: int) -> None:
        self.right = FeatureBank(samples, tolerance, cap, f"activations that W{index} reads")
        self.left = FeatureBank(samples, tolerance, cap, f"backward fields that drive W{index}")
        self.forward_source = Source(samples, seed=seed, kind=10 * index + 1, even=True)
        self.backward_source = Source(samples, seed=seed, kind=10 * index + 2, even=False)
        self.learned = _Learned(np.zeros((0, 0)))
        self.variance = model.weight_variance

    def spiked(self, record: NonlinearRecord, index: int, *, independent: bool) -> SpikedMatrix:
        """The weight at a record over what is left of its initial one, as a random matrix plus spikes."""
        learned = record.learned[index]
        rows, cols = learned.shape
        samples = self.right.directions.shape[1]
        to_right = to_left = None
        if not independent:
            scale = math.sqrt(self.variance) / samples
            q_right, q_left = self.right.directions[:cols], self.left.directions[:rows]
            tag_right, tag_left = np.array(self.right.tags[:cols]), np.array(self.left.tags[:rows])
            to_right = scale * (q_right @ self.backward_source.rows(rows).T)
            to_left = scale * (q_left @ self.forward_source.rows(cols).T)
            # exact zeros of the theory: an activation hears of earlier gradients, a gradient also of its own time
            to_right = np.where(tag_right[:, None] > tag_left[None, :], to_right, 0.0)
            to_left = np.where(tag_left[:, None] >= tag_right[None, :], to_left, 0.0)
        coupling = learned / record.beta
        return SpikedMatrix(np.eye(rows), np.eye(cols), coupling, to_right, to_left, variance=self.variance)

    def state(self, heard: int) -> HiddenState:
        """What inputs see of it that are not trained on now."""
        return HiddenState(
            self.right,
            self.left,
            self.forward_source.rows(self.right.rank),
            self.backward_source.rows(self.left.rank),
            heard,
            self.learned.value,
        )


def estimated_cost(model: DeepNetwork, n_updates: int, samples: int, cap: int) -> tuple[float, float]:
    """Rough seconds on one core and bytes of a solution without kernels, from above: as if all times had records."""
    inputs = model.n_samples + (0 if model.test_inputs is None else len(model.test_inputs))
    sizes = [model.n_samples] if model.batches is None else [len(set(batch.tolist())) for batch in model.batches]
    trained = max(sizes)
    rank = min(cap, (n_updates + 1) * trained * model.n_outputs)
    hidden = max(model.hidden_layers - 1, 0)
    columns = inputs + model.n_samples * model.n_outputs
    flops = 16.0 * samples * rank * columns * (n_updates + 1) * hidden
    return flops / 8e9, 8.0 * samples * (4.0 * rank * hidden + 20.0 * columns * model.hidden_layers)


class SiteDynamics:
    r"""The causal pass.

    Activations and backward fields of S sites are followed in a basis of their own past: with the bases q of a hidden
    weight, coefficients R, Gaussian sources :math:`\zeta` and the learned part K,

    .. math:: h_n = \beta s\,\zeta^u R_n + q_g\big[\beta s \langle\phi(h_n)\zeta^r\rangle + K R_n\big], \qquad
        z_n = \beta s\,\zeta^r R^g_n + q_\phi\big[\beta s\langle g_n \zeta^u\rangle + K^T R^g_n\big]

    where Gaussian integration by parts has turned responses into averages, so no slope of a slope is needed.

    Rows of the first matrix are carried explicitly, and only the inputs of the batch of an update enter the bases: a
    stream of ever new inputs costs what its batches cost. The others are looked at where there is a record.

    Parameters
    ----------
    model : DeepNetwork
        The network; its width enters by gamma only.
    samples : int
        S, even.
    seed : int
        Seed of the sources.
    tolerance : float
        Of the feature banks.
    responses : bool
        False leaves out the averages over sources: gradients independent of the forward pass.
    cap : int
        Largest number of directions of a bank.
    """

    def __init__(
        self, model: DeepNetwork, *, samples: int, seed: int, tolerance: float, responses: bool, cap: int
    ) -> None:
        self.model, self._samples, self._responses = model, samples, responses
        self._deviation = math.sqrt(model.weight_variance)
        tests = np.empty((0, model.n_features)) if model.test_inputs is None else model.test_inputs
        inputs = np.vstack([model.inputs, tests]) / math.sqrt(model.n_features)
        self._count, self._n_inputs, self._seed = model.n_samples, len(inputs), seed
        self._factor = np.linalg.qr(inputs.T)[1]
        self._gram = inputs @ inputs.T
        rank = len(self._factor)
        self._rows = Source(samples, seed=seed, kind=0, even=True).rows(rank)
        self._read_out = Source(samples, seed=seed, kind=1, even=False).rows(model.n_outputs)
        self.hidden = [
            HiddenWeight(model, index, samples=samples, seed=seed, tolerance=tolerance, cap=cap)
            for index in range(1, int(model.hidden_layers))
        ]
        self._first_learned = _Learned(np.zeros((rank, samples)))
        self._read_out_learned = _Learned(np.zeros((model.n_outputs, samples)))
        self._beta = _Learned(np.ones(1))
        self.step = 0

    def run(
        self, times: Iterable[int], *, kernels: bool = False, progress: Progress | None = None
    ) -> list[NonlinearRecord]:
        """March to the last time; records at the given ones, fewer where the loss leaves all bounds."""
        wanted = set(times)
        last, records = max(wanted), []
        self._check_data(last)
        for self.step in range(last + 1):
            alive, record = self._advance(wanted=self.step in wanted, kernels=kernels)
            if not alive:
                break
            if record is not None:
                records.append(record)
            if progress is not None:
                progress(self.step + 1, last + 1, "updates")
        return records

    def _left_bounds(self, loss: float) -> bool:
        """Whether training diverged; a loss without labels, after the last update that has noise, is no sign of it."""
        labelled = self.model.label_noise is None or self.step < len(self.model.label_noise)
        return labelled and not loss < _LOSS_LIMIT

    def _check_data(self, last: int) -> None:
        """Refuse updates for which there is no batch or no label noise."""
        for name in ("batches", "label_noise"):
            given = getattr(self.model, name)
            if given is not None and last > len(given):
                raise UsageError(f"times reach {last}, but {name} are given for {len(given)} updates only")

    def static_records(self, kernel: np.ndarray, times: Iterable[int]) -> list[NonlinearRecord]:
        """Records of the linear dynamics of the outputs under one kernel (n_samples, n_outputs) * 2."""
        model, wanted, records = self.model, set(times), list[NonlinearRecord]()
        self._check_data(max(wanted))
        learned = _Learned(np.zeros((self._count, model.n_outputs)))
        flat = kernel.reshape(learned.value.size, -1)
        for self.step in range(max(wanted) + 1):
            error, loss = self._error(learned.value, self._targets())
            if self._left_bounds(loss):
                break
            if self.step in wanted:
                records.append(NonlinearRecord(self.step, learned.value.copy(), 0.0, loss, flat, 1.0, np.empty(0), ()))
            change = flat @ np.nan_to_num(error * self._weights()[:, None]).ravel()
            rate = model.learning_rate / self._count
            learned.update(rate * change.reshape(learned.value.shape), model.momentum, model.weight_decay)
        return records

    def _trained(self, *, kernels: bool) -> np.ndarray:
        """Inputs that enter the bases: those of the update, or all where their kernels at two times are asked for."""
        if kernels:
            return np.arange(self._n_inputs)
        batches = self.model.batches
        if batches is None:
            return np.arange(self._count)
        return np.unique(batches[min(self.step, len(batches) - 1)])

    def _targets(self) -> np.ndarray:
        noise = self.model.label_noise
        if noise is None:
            return np.asarray(self.model.targets)
        return np.asarray(self.model.targets + (noise[self.step] if self.step < len(noise) else math.nan))

    def _error(self, output: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, float]:
        """Negative slope of the loss of each sample, and the loss."""
        return error_and_loss(self.model.loss, targets, output)

    def _advance(self, *, wanted: bool, kernels: bool) -> tuple[bool, NonlinearRecord | None]:
        """Forward, backward, record, update; whether the loss is in bounds, and the record where it is wanted."""
        beta = float(self._beta.value[0])
        inputs = self._trained(kernels=kernels)
        rows = inputs[inputs < self._count]
        heard = [weight.left.rank for weight in self.hidden]
        values, slopes, reads = self._forward(beta, inputs)
        read_out = beta * self._deviation * self._read_out + self._read_out_learned.value
        output = self._outputs(values[-1], read_out)
        error, loss = self._error(output[: len(rows)], self._targets()[rows])
        if self._left_bounds(loss) or not np.isfinite(output).all():
            return False, None
        learned = tuple(weight.learned.value.copy() for weight in self.hidden) if wanted else ()
        gradients, drives = self._backward(beta, read_out, [slope[: len(rows)] for slope in slopes])
        record = None
        if wanted:
            everywhere = self._everywhere(beta, read_out, inputs, values, gradients, heard)
            record = self._record(beta, read_out, learned, everywhere, kernels=kernels)
        self._update(np.nan_to_num(error * self._weights()[rows, None]), rows, values, gradients, reads, drives)
        return True, record

    def _everywhere(
        self,
        beta: float,
        read_out: np.ndarray,
        inputs: np.ndarray,
        values: list[np.ndarray],
        gradients: list[np.ndarray],
        heard: list[int],
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Activations of all inputs and backward fields of all samples, also of those outside the update."""
        others = np.setdiff1d(np.arange(self._n_inputs), inputs)
        if not len(others):
            return values, gradients
        hidden = [weight.state(count) for weight, count in zip(self.hidden, heard, strict=True)]
        outside = others[others < self._count]
        # two passes, so that fields of samples do not depend on what test inputs there are
        for rows in (outside, others[len(outside) :]):
            if len(rows):
                passive = self._passive(beta)
                rest, slopes = passive.forward(self._first_fields(beta, rows), hidden)
                values = [np.vstack(pair) for pair in zip(values, rest, strict=True)]
            if len(rows) and rows[0] < self._count:
                back = passive.backward(read_out, slopes, hidden)
                gradients = [np.concatenate(pair) for pair in zip(gradients, back, strict=True)]
        order = np.argsort(np.concatenate([inputs, others]))
        trained = np.argsort(np.concatenate([inputs[inputs < self._count], outside]))
        return [value[order] for value in values], [gradient[trained] for gradient in gradients]

    def _passive(self, beta: float) -> Passive:
        name = self.model.activation
        return Passive(
            lambda fields: activate(name, fields), samples=self._samples, seed=self._seed,
            scale=beta * self._deviation, responses=self._responses,
        )  # fmt: skip

    def _record(
        self,
        beta: float,
        read_out: np.ndarray,
        learned: tuple[np.ndarray, ...],
        everywhere: tuple[list[np.ndarray], list[np.ndarray]],
        *,
        kernels: bool,
    ) -> NonlinearRecord:
        values, gradients = everywhere
        output = self._outputs(values[-1], read_out)
        return NonlinearRecord(
            time=self.step,
            output=output,
            residual=self._sampling_error(values[-1], read_out),
            train_loss=self._error(output[: self._count], self._targets())[1],
            tangent=self._tangent(values, gradients),
            beta=beta,
            first_layer=self._first_layer(beta),
            learned=learned,
            features=tuple(values) if kernels else (),
            gradients=tuple(g.reshape(-1, self._samples) for g in gradients) if kernels else (),
        )

    def _outputs(self, last: np.ndarray, read_out: np.ndarray) -> np.ndarray:
        return np.asarray(last @ read_out.T / (self._samples * self.model.gamma))

    def _weights(self) -> np.ndarray:
        """Weight of every sample in this update: 1, or its share of the batch times n_samples."""
        batches = self.model.batches
        if batches is None or self.step >= len(batches):
            return np.ones(self._count)
        batch = batches[self.step]
        return np.bincount(batch, minlength=self._count) * self._count / len(batch)

    def _first_fields(self, beta: float, inputs: np.ndarray) -> np.ndarray:
        """Fields of the first hidden layer: inputs against the rows of W0."""
        rows = beta * self._deviation * self._rows + self._first_learned.value
        return np.asarray(self._factor[:, inputs].T @ rows)

    def _forward(self, beta: float, inputs: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Activations and slopes (inputs, S) of every hidden layer, and what each hidden weight reads."""
        samples, scale = self._samples, beta * self._deviation
        fields = self._first_fields(beta, inputs)
        values, slopes, reads = [], [], []
        for weight in [*self.hidden, None]:
            value, slope = activate(self.model.activation, fields)
            values.append(value)
            slopes.append(slope)
            if weight is None:
                break
            read = weight.right.add(value, self.step)
            weight.learned.grow((weight.left.rank, weight.right.rank))
            inner = weight.learned.value @ read
            if self._responses:
                sources = weight.backward_source.rows(weight.left.rank)
                inner = inner + scale * (sources @ value.T) / samples
            fields = scale * (read.T @ weight.forward_source.rows(weight.right.rank)) + inner.T @ weight.left.directions
            reads.append(read)
        return values, slopes, reads

    def _backward(
        self, beta: float, read_out: np.ndarray, slopes: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Backward fields (samples, n_outputs, S) of every hidden layer, and what drives each hidden weight."""
        samples, scale = self._samples, beta * self._deviation
        count = len(slopes[0])
        fields = np.broadcast_to(read_out, (count, *read_out.shape))
        gradients: list[np.ndarray] = []
        drives: list[np.ndarray] = []
        for layer in range(len(slopes) - 1, -1, -1):
            gradient = slopes[layer][:, None, :] * fields
            gradients.insert(0, gradient)
            if layer == 0:
                break
            weight = self.hidden[layer - 1]
            flat = gradient.reshape(-1, samples)
            drive = weight.left.add(flat, self.step)
            weight.learned.grow((weight.left.rank, weight.right.rank))
            inner = weight.learned.value.T @ drive
            if self._responses:
                inner = inner + scale * (weight.forward_source.rows(weight.right.rank) @ flat.T) / samples
            flat = scale * (drive.T @ weight.backward_source.rows(weight.left.rank)) + inner.T @ weight.right.directions
            fields = flat.reshape(count, -1, samples)
            drives.insert(0, drive)
        return gradients, drives

    def _update(
        self,
        error: np.ndarray,
        rows: np.ndarray,
        values: list[np.ndarray],
        gradients: list[np.ndarray],
        reads: list[np.ndarray],
        drives: list[np.ndarray],
    ) -> None:
        """Change everything that is learned by the samples of these rows."""
        model = self.model
        rate = model.learning_rate * model.gamma / self._count
        options = (model.momentum, model.weight_decay)
        for weight, read, drive in zip(self.hidden, reads, drives, strict=True):
            per_sample = np.einsum("rpc,pc->rp", drive.reshape(len(drive), len(rows), -1), error)
            change = np.zeros_like(weight.learned.value)
            change[: len(drive), : len(read)] = rate * per_sample @ read[:, : len(rows)].T
            weight.learned.update(change, *options)
        drive = np.einsum("pcs,pc->ps", gradients[0], error)
        self._first_learned.update(rate * self._factor[:, rows] @ drive, *options)
        self._read_out_learned.update(rate * error.T @ values[-1][: len(rows)], *options)
        self._beta.update(np.zeros(1), *options)

    def _tangent(self, values: list[np.ndarray], gradients: list[np.ndarray]) -> np.ndarray:
        """Sum over layers of products of the kernels at this time."""
        count, outputs = self._count, self.model.n_outputs
        total = np.zeros((count, outputs, count, outputs))
        below = self._gram[:count, :count]
        for value, gradient in zip(values, gradients, strict=True):
            flat = gradient.reshape(-1, self._samples)
            product = (flat @ flat.T / self._samples).reshape(total.shape)
            total += product * below[:, None, :, None]
            below = value[:count] @ value[:count].T / self._samples
        total += np.eye(outputs)[None, :, None, :] * below[:, None, :, None]
        return total.reshape(count * outputs, count * outputs)

    def _sampling_error(self, last: np.ndarray, read_out: np.ndarray) -> float:
        """From the two halves of the pairs; antithetic partners stay together."""
        quarter = self._samples // 4
        halves = []
        for start in (0, quarter):
            chosen = np.r_[start : start + quarter, 2 * quarter + start : 3 * quarter + start]
            halves.append(last[:, chosen] @ read_out[:, chosen].T / (len(chosen) * self.model.gamma))
        return float(np.sqrt(((halves[0] - halves[1]) ** 2).mean()) / 2.0)

    def _first_layer(self, beta: float) -> np.ndarray:
        """Eigenvalues of the Gram matrix of the rows of W0: those in the span of the inputs, and the untouched ones."""
        seen = min(self._count, len(self._rows))  # test inputs come last and span what nothing is learned of
        change = self._first_learned.value[:seen]
        cross = beta * self._deviation * (self._rows[:seen] @ change.T) / self._samples
        gram = cross + cross.T + change @ change.T / self._samples
        gram[np.diag_indices_from(gram)] += beta**2 * self.model.weight_variance
        rest = np.full(self.model.n_features - len(gram), beta**2 * self.model.weight_variance)
        values = np.sort(np.concatenate([np.linalg.eigvalsh(gram), rest]))[::-1]
        return np.asarray(np.maximum(values, 0.0))
