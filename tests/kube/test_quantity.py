import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.kube.quantity import QuantityError, canonical, format_like, milli, parse, whole

_SUFFIXES = [
    "",
    "n",
    "u",
    "m",
    "k",
    "M",
    "G",
    "T",
    "P",
    "E",
    "Ki",
    "Mi",
    "Gi",
    "Ti",
    "Pi",
    "Ei",
    "e3",
    "E-3",
    "e0",
]
quantities = st.builds(
    lambda sign, number, suffix: f"{sign}{number}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.one_of(
        st.integers(0, 10**12).map(str),
        st.tuples(st.integers(0, 10**6), st.text("0123456789", max_size=12)).map(
            lambda parts: f"{parts[0]}.{parts[1]}"
        ),
    ),
    st.sampled_from(_SUFFIXES),
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("100000", "100k"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000Ki", "1000Ki"),
        ("0.5Ki", "512"),
        ("0.3Ki", "307200m"),
        ("1e3", "1e3"),
        ("1e4", "10e3"),
        ("1E", "1E"),
        ("1E3", "1e3"),
        ("-1.5", "-1500m"),
        ("+1", "1"),
        (".5", "500m"),
        ("5.", "5"),
        ("0.1n", "1n"),
        ("0Gi", "0"),
    ],
)
def test_canonical_spelling(text: str, written: str) -> None:
    assert canonical(text) == written


@pytest.mark.parametrize(
    "text", ["", "x", "1x", "1 Gi", "Gi", "1ki", "1KI", "--1", "1e", "1.2.3", "0x10", "1Gi ", "\u0661"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="is not a quantity"):
        parse(text)


@pytest.mark.parametrize(
    ("value", "thousandths", "units"),
    [
        ("1", 1000, 1),
        ("1m", 1, 1),
        ("0.1m", 1, 1),
        ("80Gi", 80 * 2**30 * 1000, 80 * 2**30),
        (2, 2000, 2),
        (0.5, 500, 1),
    ],
)
def test_parts_round_up(value: str | int | float, thousandths: int, units: int) -> None:
    assert (milli(value), whole(value)) == (thousandths, units)


def test_numbers_beyond_63_bits_are_clamped() -> None:
    assert parse("100E") == 2**63 - 1
    assert parse("-100E") == -(2**63 - 1)


@given(quantities)
def test_canonical_form_keeps_the_value_and_is_a_fixed_point(text: str) -> None:
    written = canonical(text)
    assert parse(written) == parse(text)
    assert canonical(written) == written


@given(quantities)
def test_rounding_never_asks_for_less(text: str) -> None:
    value = parse(text)
    assert value <= Fraction(milli(text), 1000) < value + Fraction(1, 1000)
    assert whole(text) == math.ceil(value)


@given(st.lists(quantities, min_size=1, max_size=5))
def test_a_sum_written_out_reads_back_exactly(texts: list[str]) -> None:
    total = sum((parse(text) for text in texts), Fraction(0))
    if abs(total) <= 2**63 - 1:
        assert parse(format_like(total, texts[0])) == total
