from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.http.yaml_body import encode


def test_it_reads_as_that_of_kubernetes() -> None:
    value = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "y", "labels": {"f:a": "x/y", "b": "12"}, "finalizers": []},
        "spec": {
            "containers": [{"name": "c", "env": [{"name": "A", "value": "yes: no"}], "ports": [[1], {}]}]
        },
    }
    assert encode(value).decode().splitlines() == [
        "apiVersion: v1",
        "kind: Pod",
        "metadata:",
        "  finalizers: []",
        "  labels:",
        '    b: "12"',
        "    f:a: x/y",
        '  name: "y"',
        "spec:",
        "  containers:",
        "  - env:",
        "    - name: A",
        '      value: "yes: no"',
        "    name: c",
        "    ports:",
        "    - - 1",
        "    - {}",
    ]


TEXTS = st.text() | st.sampled_from(
    ["", "~", "null", "Yes", "1e3", "0x1f", "=", "<<", "a: b", "a:", "- a", "2026-01-01"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_it_is_read_as_what_it_was(value: Any) -> None:
    assert yaml.safe_load(encode(value)) == value


@pytest.mark.parametrize("text", ["\x7f", "\x85", "\u2028", "\ufeff", "\U0001f600", "a\nb", 'q"\\'])
def test_what_cannot_be_printed_is_escaped(text: str) -> None:
    assert yaml.safe_load(encode({text: text})) == {text: text}
