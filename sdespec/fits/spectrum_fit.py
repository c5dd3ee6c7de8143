"""Nouns of a fit: its options, and everything that is estimated from one spectrum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sdespec.core.errors import UsageError
from sdespec.fits.bulk import EDGE_RULES, Edge, Outliers
from sdespec.fits.calibrated_tail import CalibratedTail
from sdespec.fits.calibration import CALIBRATIONS, Calibration
from sdespec.fits.likelihood import FITTED_LAWS, LawFit
from sdespec.fits.power_law import Ks, PowerLawTail
from sdespec.fits.regime import Regime
from sdespec.fits.spliced_tail import SplicedTail
from sdespec.fits.strength import SpikeStrengths
from sdespec.fits.tail_evidence import TailEvidence
from sdespec.fits.validation import check_resamples

__all__ = ["FitOptions", "SpectrumFit"]


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit; see ``sdespec.fit`` for their meaning."""

    laws: tuple[str, ...] = ("gamma", "inverse_gamma", "log_normal", "pareto")
    min_tail: int = 10
    ks: Ks = "two-sided"
    threshold: float | None = None
    bootstrap: int = 200
    calibration: Calibration = "ensemble"
    edge: Edge = "tracy_widom"
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what is not allowed, before any work is done."""
        unknown = [name for name in self.laws if name not in FITTED_LAWS]
        if unknown:
            raise UsageError(f"unknown law {unknown[0]!r}; allowed: {', '.join(FITTED_LAWS)}")
        for name, value, allowed in (
            ("ks", self.ks, ("two-sided", "left")),
            ("calibration", self.calibration, CALIBRATIONS),
            ("edge", self.edge, EDGE_RULES),
        ):
            if value not in allowed:
                raise UsageError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
        if self.min_tail < 3:
            raise UsageError(f"min_tail is {self.min_tail}; a tail needs at least 3 values")
        check_resamples(self.bootstrap)
        if not 0.0 < self.level < 1.0:
            raise UsageError(f"level is {self.level}; it must lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class SpectrumFit:
    """Everything that is estimated from one spectrum; NaN and empty text where there is no estimate."""

    status: str
    bulk: Outliers | None = None
    variance_interval: tuple[float, float] = (math.nan, math.nan)
    spikes: SpikeStrengths | None = None
    ks_mp: float = math.nan
    ks_mp_rest: float = math.nan
    ks_mp_shuffled: float = math.nan
    ks_mp_null_quantile: float = math.nan
    n_outliers_shuffled: int = 0
    tail: PowerLawTail | None = None
    calibrated: CalibratedTail | None = None
    spliced: SplicedTail | None = None
    tail_note: str = ""
    tail_evidence: TailEvidence = field(default_factory=TailEvidence)
    tail_exponent_without_largest: float = math.nan
    tail_exponent_shuffled: float = math.nan
    tail_z_exponential: float = math.nan
    tail_z_null_quantile: float = math.nan
    laws: Mapping[str, LawFit] = field(default_factory=dict)
    law_p_values: Mapping[str, float] = field(default_factory=dict)
    law_notes: Mapping[str, str] = field(default_factory=dict)
    no_tail_p_value: float = math.nan
    preferred_law: str = ""
    regime: Regime | None = None
    verdict: str = ""
    n_pooled: int = 1
