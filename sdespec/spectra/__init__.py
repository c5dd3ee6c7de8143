"""Descriptions of a matrix: moments of its entries, null spectra, initial laws, alignments, spacings, vectors."""

from sdespec.spectra.alignment import alignment
from sdespec.spectra.entries import EntryStatistics, entry_statistics
from sdespec.spectra.initialization import at_initialization
from sdespec.spectra.nulls import gaussian_null, shuffled_null
from sdespec.spectra.porter_thomas import PorterThomas, porter_thomas, porter_thomas_sides
from sdespec.spectra.spacing import SpacingRatio, spacing_ratio, unfold

__all__ = [
    "EntryStatistics",
    "PorterThomas",
    "SpacingRatio",
    "alignment",
    "at_initialization",
    "entry_statistics",
    "gaussian_null",
    "porter_thomas",
    "porter_thomas_sides",
    "shuffled_null",
    "spacing_ratio",
    "unfold",
]
