import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from aliquot import canonical_json

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | TEXTS
ANY = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(alphabet=st.characters(max_codepoint=127)), inner)
    ),
)


@given(ANY)
def test_it_is_what_the_reference_writes(document: object) -> None:
    assert canonical_json.dumps(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@given(PLAIN)
def test_what_is_plain_needs_no_reference(document: object) -> None:
    assert canonical_json.dumps_plain(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "document", [1.5, {"é": 1}, 2**53, [-(2**53)], {1: "a"}, b"bytes", {"a": [{"b": 0.0}]}]
)
def test_what_libraries_differ_about_is_not_plain(document: object) -> None:
    assert canonical_json.dumps_plain(document) is None


@pytest.mark.parametrize("document", [2**53, math.nan, math.inf, "\ud800", {"\ud800": 1}, {1: "a"}, b"bytes"])
def test_what_cannot_be_written_is_refused(document: object) -> None:
    with pytest.raises(ValueError):
        canonical_json.dumps(document)
