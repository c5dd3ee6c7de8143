"""Gates: form, paths, values."""

import pytest

from sdespec.core.errors import UsageError
from sdespec.report.gate import Gate, parse_gate


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("tail.exponent<2", Gate("tail.exponent", "<", 2.0)),
        (" n_outliers >= 3 ", Gate("n_outliers", ">=", 3.0)),
        ("regime==broad_tail", Gate("regime", "==", "broad_tail")),
        ("regime != 'random'", Gate("regime", "!=", "random")),
        ("tail.interval.1<2", Gate("tail.interval.1", "<", 2.0)),
        ("laws.gamma.ks_distance>0.1", Gate("laws.gamma.ks_distance", ">", 0.1)),
    ],
)
def test_forms(text, gate):
    assert parse_gate(text) == gate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tail.exponent", "is no gate"),
        ("tail.exponent=2", "is no gate"),
        ("tail.exponnet<2", "did you mean 'tail.exponent'"),
        ("zzz<2", "allowed: "),
        ("tail.exponent<two", "is not a number"),
        ("regime<random", "compare it with == or !="),
        ("laws.gamma<1", "laws.NAME"),
    ],
)
def test_faults(text, message):
    with pytest.raises(UsageError, match=message):
        parse_gate(text)
