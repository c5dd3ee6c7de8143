"""Documents made from a result: one JSON document, one self-contained HTML page."""

from sdespec.report.document import FitDocument, MeasureDocument, fit_document, measure_document
from sdespec.report.html import write_report

__all__ = ["FitDocument", "MeasureDocument", "fit_document", "measure_document", "write_report"]
