"""Plots: functions of a Dataset that draw on given axes and return them; nothing is shown or saved."""

from sdespec.plots.spectrum import spectrum
from sdespec.plots.tail import tail

__all__ = ["spectrum", "tail"]
