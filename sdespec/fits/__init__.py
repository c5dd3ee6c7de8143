"""Estimates from spectra alone: bulk, outliers, tail, laws, regime; each with its null."""

from sdespec.fits.bulk import Outliers, outliers
from sdespec.fits.likelihood import LawComparison, LawFit, compare_laws, law
from sdespec.fits.power_law import PowerLawTail, ThresholdCurve, power_law_tail, threshold_curve
from sdespec.fits.regime import Evidence, Regime, decide_regime

__all__ = [
    "Evidence",
    "LawComparison",
    "LawFit",
    "Outliers",
    "PowerLawTail",
    "Regime",
    "ThresholdCurve",
    "compare_laws",
    "decide_regime",
    "law",
    "outliers",
    "power_law_tail",
    "threshold_curve",
]
