"""Plots: functions of a Dataset that draw on given axes and return them; nothing is shown or saved."""

from sdespec.plots.comparison import comparison
from sdespec.plots.density_evolution import density_evolution
from sdespec.plots.kernels import kernels
from sdespec.plots.laws import laws
from sdespec.plots.outliers import outliers
from sdespec.plots.spacings import spacings
from sdespec.plots.spectrum import spectrum
from sdespec.plots.tail import tail
from sdespec.plots.thresholds import thresholds
from sdespec.plots.trajectories import trajectories

__all__ = [
    "comparison",
    "density_evolution",
    "kernels",
    "laws",
    "outliers",
    "spacings",
    "spectrum",
    "tail",
    "thresholds",
    "trajectories",
]
