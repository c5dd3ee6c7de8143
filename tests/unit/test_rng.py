"""Noise: known answers, the twin, fields of the counter."""

import math

import mpmath
import numpy as np
import pytest

from sdespec.core import _philox_reference as reference
from sdespec.core._philox import BLOCKS, fill_poisson
from sdespec.core.errors import UsageError
from sdespec.core.rng import FIELDS, chi_square, key_of, standard_normal, words_of

SEED, REPLICATE, STEP, PURPOSE = 11, 5, 7, 3


def _words(entry, attempt=0, *, step=STEP):
    """Words of a block, by the layout as it is written down."""
    counter = np.array([entry, step, REPLICATE, (PURPOSE << 24) + attempt], dtype=np.uint64)
    return reference.philox(counter, np.array(key_of(SEED)))


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_known_answers_of_the_authors(counter, key, answer):
    found = reference.philox(np.array(counter, dtype=np.uint64), np.array(key, dtype=np.uint64))
    assert found.tolist() == answer


def test_the_kernel_equals_its_twin_to_the_bit():
    for size in (1, 2, 7, 2 * BLOCKS - 1, 2 * BLOCKS, 2 * BLOCKS + 1, 6 * BLOCKS + 5):
        found = standard_normal((size,), seed=SEED, replicate=REPLICATE, step=STEP, purpose=PURPOSE)
        blocks = np.stack([_words(i) for i in range((size + 1) // 2)])
        assert np.array_equal(found, reference.normal(blocks).ravel()[:size])
    degrees = np.array([1.0, 2.0, 3.0, 10.0, 4000.0] * 20)
    found = chi_square(degrees, seed=SEED, replicate=REPLICATE, step=STEP, purpose=PURPOSE)
    expected = reference.chi_square(degrees, lambda i, tag: _words(i, tag), 0)
    assert np.array_equal(found, expected)
    means = np.array([0.0, 0.3, 4.0, 9.9, 10.0, 70.0, 1e5] * 20)
    out = np.empty(len(means))
    fill_poisson(out, means, *words_of(seed=SEED, replicate=REPLICATE, step=STEP, purpose=PURPOSE))
    assert np.array_equal(out, reference.poisson(means, lambda i, tag: _words(i, tag), 0))


@pytest.mark.parametrize("change", ["seed", "replicate", "step", "purpose"])
def test_planted_bug_a_word_that_is_not_used_would_be_seen(change):
    """The kernel at another seed or word differs from the twin in every number."""
    given = {"seed": SEED, "replicate": REPLICATE, "step": STEP, "purpose": PURPOSE}
    expected = reference.normal(np.stack([_words(i) for i in range(4)])).ravel()
    assert np.array_equal(standard_normal((8,), **given), expected)
    assert not np.any(standard_normal((8,), **(given | {change: given[change] + 1})) == expected)


def test_normals_are_the_box_muller_numbers_of_their_uniforms():
    """Against 40 digits: within 4 units of the last place."""
    blocks = np.stack([_words(i) for i in range(200)])
    found = reference.normal(blocks)
    high, low = reference.uniform(blocks[:, 0], blocks[:, 1]), reference.uniform(blocks[:, 2], blocks[:, 3])
    with mpmath.workdps(40):
        for (a, b), u, v, word in zip(found, high, low, blocks[:, 3], strict=True):
            radius = mpmath.sqrt(-2 * mpmath.log(mpmath.mpf(u)))
            angle = (mpmath.mpf(v) - mpmath.mpf(1) / 2) * mpmath.pi / 2
            turns = {0: 0, 1: -1, 2: 2, 3: 1}[int(word) & 3]  # quarters: (c, s), (s, -c), (-c, -s), (-s, c)
            exact = [
                radius * mpmath.cos(angle + turns * mpmath.pi / 2),
                radius * mpmath.sin(angle + turns * mpmath.pi / 2),
            ]
            for number, value in zip((a, b), exact, strict=True):
                assert abs(mpmath.mpf(number) - value) <= 4 * math.ulp(float(value))


def test_extreme_uniforms_give_finite_normals():
    top = np.array([[0xFFFFFFFF] * 4, [0] * 4, [0, 0, 0xFFFFFFFF, 0xFFFFFFFF]], dtype=np.uint64)
    found = reference.normal(top)
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 8.6


def test_fields_have_their_widths_and_do_not_meet():
    assert dict(FIELDS) == {"entry": 32, "step": 32, "replicate": 32, "attempt": 24, "purpose": 8}
    assert sum(FIELDS.values()) == 128
    step, replicate, tag = words_of(seed=0, step=2**32 - 1, replicate=2**32 - 1, purpose=255)[:3]
    assert (int(step), int(replicate), int(tag)) == (2**32 - 1, 2**32 - 1, 255 << 24)
    for name in ("step", "replicate", "purpose"):
        for value in (-1, 1 << FIELDS[name]):
            with pytest.raises(UsageError, match=f"{name} is .*{FIELDS[name]}-bit field"):
                words_of(**({"seed": 0, "step": 0, "replicate": 0, "purpose": 0} | {name: value}))
    draws = [
        standard_normal((4,), seed=0, **({"replicate": 0, "step": 0, "purpose": 0} | change))
        for change in ({}, {"replicate": 1}, {"step": 1}, {"purpose": 1}, {"replicate": 2**31}, {"step": 2**31})
    ]
    assert len({float(x) for draw in draws for x in draw}) == 24


def test_entries_do_not_depend_on_their_number():
    whole = standard_normal((3, 1001), seed=2, replicate=0)
    assert np.array_equal(standard_normal((777,), seed=2, replicate=0), whole.ravel()[:777])
    with pytest.raises(UsageError, match="32-bit field"):
        standard_normal((2**34,), seed=2, replicate=0)


@pytest.mark.parametrize(("seed", "message"), [(-1, "seed is -1"), (1.5, r"seed is 1\.5")])
def test_seeds_are_checked(seed, message):
    with pytest.raises(UsageError, match=message):
        key_of(seed)


@pytest.mark.parametrize("degrees", [[0.0], [1.5], [[1.0]], [math.nan]])
def test_degrees_are_checked(degrees):
    with pytest.raises(UsageError, match="whole numbers of at least 1"):
        chi_square(np.array(degrees), seed=0, replicate=0)
