"""Gates: form, paths, values."""

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.report.document import fit_document
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
        ("laws.gamma<1", "names no fitted law"),
        ("laws.zzz.ks_distance>0", "names no fitted law"),
        ("laws.gamma.parameters>0", "is no number"),
        ("laws.gamma.parameters.shpe>0", "parameters.shape"),
        ("regime==spike", "allowed: random, spikes"),
        ("status==bad", "allowed: ok"),
        ("variance>nan", "is not finite"),
    ],
)
def test_faults(text, message):
    with pytest.raises(UsageError, match=message):
        parse_gate(text)


def test_hits_and_missing_on_every_kind_of_row():
    rng = np.random.default_rng(1)
    spike = rng.normal(size=(60, 80)) + 60 * np.outer(
        np.full(60, 60**-0.5) * (-1.0) ** np.arange(60), np.full(80, 80**-0.5)
    )
    document = fit_document(sd.fit({"a": rng.normal(size=(60, 80)), "b": spike, "bias": np.ones(3)}, bootstrap=0))
    assert [line.split(":")[0] for line in parse_gate("n_outliers>=1").hits(document)] == ["b"]
    assert [line.split(":")[0] for line in parse_gate("regime==random").hits(document)] == ["a"]
    assert [line.split(":")[0] for line in parse_gate("status==skipped").hits(document)] == ["bias"]
    assert parse_gate("tail.exponent<99").missing(document) == 1
    assert len(parse_gate("laws.gamma.parameters.shape>0").hits(document)) == 2
    assert len(parse_gate("tail.interval.0>0").hits(document)) == 2
