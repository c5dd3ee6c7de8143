"""Estimates from spectra alone: bulk, outliers, tail, laws, regime; each with its null."""

from sdespec.fits.bulk import Outliers, outliers
from sdespec.fits.calibrated_tail import CalibratedTail, calibrated_tail
from sdespec.fits.comparison import LawComparison, compare_laws
from sdespec.fits.curve import ThresholdCurve, threshold_curve
from sdespec.fits.goodness import GoodnessOfFit, goodness_of_fit
from sdespec.fits.likelihood import LawFit, law
from sdespec.fits.power_law import PowerLawTail, power_law_tail, power_law_tails
from sdespec.fits.regime import Evidence, Regime, decide_regime
from sdespec.fits.spliced_tail import SplicedTail, splice
from sdespec.fits.strength import SpikeStrengths, spike_strengths
from sdespec.fits.tail_calibration import power_law_test
from sdespec.fits.tail_evidence import TailEvidence

__all__ = [
    "CalibratedTail",
    "Evidence",
    "GoodnessOfFit",
    "LawComparison",
    "LawFit",
    "Outliers",
    "PowerLawTail",
    "Regime",
    "SpikeStrengths",
    "SplicedTail",
    "TailEvidence",
    "ThresholdCurve",
    "calibrated_tail",
    "compare_laws",
    "decide_regime",
    "goodness_of_fit",
    "law",
    "outliers",
    "power_law_tail",
    "power_law_tails",
    "power_law_test",
    "spike_strengths",
    "splice",
    "threshold_curve",
]
