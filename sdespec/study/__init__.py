"""Studies: a TOML file with parameters and claims, a script that makes the results, a report with the outcomes."""

from sdespec.study.config import Study, load_study, study_schema
from sdespec.study.runner import StudyResult, run_study

__all__ = ["Study", "StudyResult", "load_study", "run_study", "study_schema"]
