"""The command line: it reads options, calls a verb, prints, and maps errors to exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from sdespec.core.errors import InputError, InterruptedRunError, SdespecError, UsageError

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

__all__ = ["OUTPUT", "Output", "Screen", "app", "check_out", "main", "write"]

app = App(
    suppress_keyboard_interrupt=False,
    name="sdespec",
    help="Spectra of neural-network weights: a checkpoint in, an honest answer out.",
    help_epilogue=(
        "Exit codes: 0 done, 1 a gate of --fail-on says no, 2 usage, 3 an optional package is missing, "
        "4 nothing could be read or the input is invalid, 5 numerical failure."
    ),
    version_flags=["--version"],
    version=lambda: _version(),
    result_action="return_value",
    default_parameter=Parameter(negative=""),
    help_format="plaintext",
)


def _version() -> str:
    from sdespec.core.provenance import package_version

    return package_version()


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """Options that every command has."""

    json: bool = False
    """Print exactly one JSON document on stdout, all else on stderr."""
    quiet: bool = False
    """Print no table and no progress."""
    debug: bool = False
    """Show the traceback of an error."""


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """How tensors become matrices, and what their null is."""

    include: tuple[str, ...] = ()
    """Patterns of tensor names to read, such as '*.mlp.*'; may be given several times."""
    exclude: tuple[str, ...] = ()
    """Patterns of tensor names to leave out."""
    minimum_side: int = 8
    """Smallest side of a matrix."""
    conv: Literal["flatten", "slices"] = "flatten"
    """Convolution kernels: one matrix out x (in * positions), or one for each position."""
    fused: Literal["split", "keep"] = "split"
    """Fused gates and query-key-value matrices: split into their parts, or kept whole."""
    null: Literal["shuffled", "gaussian", "none"] = "shuffled"
    """Null of each matrix."""
    null_draws: int = 1
    """Number of draws of the null."""
    vectors: bool = False
    """Hold the singular vectors against random directions; takes far longer."""


@Parameter(name="*")
@dataclass(frozen=True)
class Fitting:
    """How spectra are fitted."""

    laws: tuple[str, ...] = ("gamma", "inverse_gamma", "log_normal", "pareto")
    """Laws to fit, by name."""
    pool: tuple[str, ...] = ()
    """Dims to pool, replicate or time: their spectra are fitted jointly."""
    min_tail: int = 10
    """Smallest number of eigenvalues in a tail."""
    ks: Literal["two-sided", "left"] = "two-sided"
    """Distance that chooses the threshold; 'left' is the convention of other packages."""
    threshold: float | None = None
    """A known threshold; searched by default."""
    bootstrap: int = 200
    """Resamples of the interval and draws of the p-values; 0 skips both."""
    calibration: Literal["ensemble", "iid"] = "ensemble"
    """Whether p-values know that eigenvalues repel."""
    edge: Literal["tracy_widom", "factor", "finite_size", "asymptotic"] = "tracy_widom"
    """Where an outlier begins."""
    level: float = 0.95
    """Probability of the intervals."""
    threads: int | None = None
    """Number of threads; all cores by default."""


OUTPUT, _READING, _FITTING = Output(), Reading(), Fitting()


class Screen:
    """What may be printed where: JSON on stdout, everything else on stderr when JSON is asked for."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def console(self) -> Console:
        """Where tables go."""
        from rich.console import Console

        return Console(stderr=self.output.json, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print for a person."""
        if not self.output.quiet:
            print(text, file=sys.stderr if self.output.json else sys.stdout)

    def document(self, text: str) -> None:
        """Print for a program."""
        if self.output.json:
            print(text)  # the one JSON document

    @contextmanager
    def progress(self, stage: str) -> Iterator[Callable[[int, int, str], None] | None]:
        """A bar on stderr, only where a person looks at it."""
        if self.output.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.fields[stage]:8}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", stage=stage, total=None)
            yield lambda done, total, name: bar.update(task, completed=done, total=total, description=name)

    def table(self, ds: xr.Dataset) -> None:
        """One row a matrix; on a terminal with rich, elsewhere as plain text."""
        if self.output.quiet:
            return
        from sdespec.verbs import closing, rows, summary

        console = self.console()
        if not console.is_terminal:
            self.say(summary(ds))
            return
        from rich.table import Table
        from rich.text import Text

        header, body = rows(ds)
        table = Table(box=None, pad_edge=False)
        for name in header:
            table.add_column(name, overflow="fold", no_wrap=name == "matrix")
        for row in body:
            table.add_row(*(Text(cell) for cell in row), style="dim" if row[2] == "-" else None)
        console.print(table)
        self.say(closing(ds))


def _spectra(source: Path, reading: Reading, seed: int, screen: Screen) -> xr.Dataset:
    """Spectra of a checkpoint, or those that a result of sdespec holds."""
    if source.suffix == ".nc":
        from sdespec.core.dataset import open_dataset

        return open_dataset(source)
    from sdespec.networks import measure

    with screen.progress("measure") as progress:
        return measure(
            source,
            include=reading.include or None,
            exclude=reading.exclude or None,
            minimum_side=reading.minimum_side,
            conv=reading.conv,
            fused=reading.fused,
            null=reading.null,
            null_draws=reading.null_draws,
            vectors=reading.vectors,
            seed=seed,
            progress=progress,
        )


def _require_matrix(ds: xr.Dataset, source: Path) -> None:
    status = ds["status"].values.astype(str) if "status" in ds.coords else None
    if status is None or (status == "ok").any():
        return
    reasons = sorted({str(reason) for reason in ds["reason"].values.ravel()})
    shown = "; ".join(reasons[:4]) or "it is empty"
    raise InputError(f"no matrix with a spectrum among {ds.sizes['layer']} tensors ({shown})", file=source.name)


def write(ds: xr.Dataset, out: Path | None, screen: Screen) -> None:
    """Write a result where that was asked for."""
    if out is None:
        return
    from sdespec.core.dataset import save

    save(ds, out)
    shown = "verdict" in ds or "status" in ds.coords  # what a report can show
    screen.say(f"wrote {out}" + (f"   next: sdespec report {out}" if shown else ""))


_CHECKPOINTS = (".npz", ".npy", ".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")


def check_out(out: Path | None, *sources: Path) -> None:
    """Fail before the work where the result could not be written, or would replace what it is made from."""
    if out is None:
        return
    from sdespec.core.dataset import check_writable

    if out.suffix in _CHECKPOINTS:
        raise UsageError(f"--out {out} has the ending of a checkpoint; a result is NetCDF, such as {out.stem}.nc")
    for source in sources:
        if out.exists() and source.is_file() and out.samefile(source):
            raise UsageError(f"--out {out} is the input {source} itself, which would be lost; choose another name")
        if source.is_dir() and out.parent.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"--out {out} lies inside the input folder {source}; choose a place outside")
    check_writable(out)


@app.command
def fit(
    source: Path,
    /,
    *,
    out: Path | None = None,
    seed: int = 0,
    fail_on: tuple[str, ...] = (),
    reading: Reading = _READING,
    fitting: Fitting = _FITTING,
    output: Output = OUTPUT,
) -> int:
    """Fit bulk, outliers, tail and laws of every weight matrix in a checkpoint.

    Parameters
    ----------
    source
        A checkpoint (.safetensors, .npz, .npy, .pt), a sharded folder, a folder of steps, or a result of measure (.nc).
    out
        File for the result, NetCDF-4.
    seed
        Seed of nulls and resamples.
    fail_on
        Exit with 1 where a matrix fulfils this, such as 'tail.exponent<2' or 'regime==broad_tail'; may be repeated.
    reading
        Options of reading.
    fitting
        Options of fitting.
    output
        Options of printing.
    """
    screen = Screen(output)
    from sdespec.report.document import fit_document
    from sdespec.report.gate import parse_gate

    gates = [parse_gate(text, laws=fitting.laws) for text in fail_on]
    check_out(out, source)
    spectra = _spectra(source, reading, seed, screen)
    _require_matrix(spectra, source)
    from sdespec.verbs import fit as fit_verb

    with screen.progress("fit") as progress:
        fits = fit_verb(spectra, seed=seed, progress=progress, **vars(fitting))
    document = fit_document(fits)
    screen.table(fits)
    write(fits, out, screen)
    screen.document(document.model_dump_json(by_alias=True, indent=1))
    for gate in gates:
        missing = gate.missing(document)
        if missing:
            print(f"--fail-on: {gate.path} is missing for {missing} of {len(document.matrices)} rows", file=sys.stderr)
    hits = [line for gate in gates for line in gate.hits(document)]
    for line in hits:
        print(f"--fail-on: {line}", file=sys.stderr)
    return 1 if hits else 0


@app.command
def measure(
    source: Path,
    /,
    *,
    out: Path | None = None,
    seed: int = 0,
    reading: Reading = _READING,
    output: Output = OUTPUT,
) -> int:
    """Compute the spectrum of every weight matrix in a checkpoint, with its null.

    Parameters
    ----------
    source
        A checkpoint (.safetensors, .npz, .npy, .pt), a sharded folder, or a folder of steps.
    out
        File for the result, NetCDF-4.
    seed
        Seed of the nulls.
    reading
        Options of reading.
    output
        Options of printing.
    """
    screen = Screen(output)
    check_out(out, source)
    spectra = _spectra(source, reading, seed, screen)
    _require_matrix(spectra, source)
    from sdespec.report.document import measure_document

    screen.table(spectra)
    write(spectra, out, screen)
    screen.document(measure_document(spectra).model_dump_json(by_alias=True, indent=1))
    return 0


@app.command
def report(
    result: Path,
    /,
    *,
    out: Path | None = None,
    title: str | None = None,
    max_figures: int = 24,
    output: Output = OUTPUT,
) -> int:
    """Write one self-contained HTML page of a result.

    Parameters
    ----------
    result
        A file that measure, fit, simulate, predict, compare or demo wrote.
    out
        The page; by default the name of the result with the ending .html.
    title
        Heading of the page.
    max_figures
        Number of matrices that get figures.
    output
        Options of printing.
    """
    screen = Screen(output)
    from sdespec.core.dataset import open_dataset

    target = result.with_suffix(".html") if out is None else out
    check_out(target, result)
    ds = open_dataset(result)
    from sdespec.report import write_report

    with screen.progress("report") as progress:
        write_report(ds, target, title=title, max_figures=max_figures, progress=progress)
    screen.say(f"wrote {target}")
    screen.document(json.dumps({"schema": "sdespec.report/1", "result": str(result), "report": str(target)}))
    return 0


@app.command
def demo(*, out: Path = Path("sdespec-demo"), seed: int = 0, output: Output = OUTPUT) -> int:
    """Fit a small trained network that comes with the package, and write its result and report.

    Parameters
    ----------
    out
        Folder for result.nc and report.html.
    seed
        Seed of nulls and resamples.
    output
        Options of printing.
    """
    from contextlib import ExitStack

    from sdespec.demo import run_demo
    from sdespec.report.document import fit_document
    from sdespec.tables import comparison_closing

    screen = Screen(output)
    with ExitStack() as stack:

        def stage(name: str) -> Callable[[int, int, str], None]:
            stack.close()  # the bar of the stage before
            return stack.enter_context(screen.progress(name)) or (lambda done, total, name: None)

        fits = run_demo(out, seed=seed, progress=stage)
    screen.say("A network trained on handwritten digits, at its last step:\n")
    screen.table(fits)
    screen.say(f"\nSimulation against theory of a matrix under weight decay and noise: {comparison_closing(fits)}")
    screen.say(f"\nwrote {out / 'result.nc'}\nwrote {out / 'report.html'}")
    screen.document(fit_document(fits).model_dump_json(by_alias=True, indent=1))
    return 0


for _name in ("simulate", "predict", "compare"):
    app.command(f"sdespec.cli_sde:{_name}", name=_name)  # imported when it is called
app.command("sdespec.cli_study:app", name="study")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after the name of the program; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return int(app(words, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        return _fail(UsageError(f"{error}; see 'sdespec --help'"), words)
    except SdespecError as error:
        return _fail(error, words)
    except KeyboardInterrupt:
        return _fail(InterruptedRunError("interrupted"), words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: not an error
        return 0
    except Exception as error:  # the last door: no traceback without --debug
        wrapped = SdespecError(f"internal error: {type(error).__name__}: {error}; run again with --debug")
        wrapped.__cause__ = error
        return _fail(wrapped, words)


def _fail(error: SdespecError, words: Sequence[str]) -> int:
    if "--debug" in words:
        traceback.print_exception(error)
    else:
        print(f"sdespec: error: {error}", file=sys.stderr)
    if "--json" in words:
        document: dict[str, Any] = {
            "schema": "sdespec.error/1",
            "error": type(error).__name__,
            "message": str(error),
            "exit_code": error.exit_code,
        }
        print(json.dumps(document))  # the one JSON document
    return error.exit_code
