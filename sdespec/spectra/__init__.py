"""Descriptions of a matrix: moments of its entries, null spectra, initial laws, alignments."""

from sdespec.spectra.alignment import alignment
from sdespec.spectra.entries import EntryStatistics, entry_statistics
from sdespec.spectra.initialization import at_initialization
from sdespec.spectra.nulls import gaussian_null, shuffled_null

__all__ = [
    "EntryStatistics",
    "alignment",
    "at_initialization",
    "entry_statistics",
    "gaussian_null",
    "shuffled_null",
]
