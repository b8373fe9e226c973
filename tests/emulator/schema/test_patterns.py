"""Patterns of schemas mean what they mean in Go, whichever engine matches them."""

import pytest

from aliquot.emulator.cel import patterns as re2
from aliquot.emulator.schema.validation import patterns


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        ("^[a-z]([-a-z0-9]*[a-z0-9])?$", "a-b", True),
        ("^[a-z]+$", "abc\n", False),
        ("^a$|^b$", "b", True),
        (r"^\d+$", "12", True),
        (r"^\d+$", "\u0661\u0662", False),
        (r"^\w+$", "\u00e9", False),
        (r"^\$[$]$", "$$", True),
        ("^[[:alpha:]]+$", "abc", True),
        ("^[[:alpha:]]+$", ":", False),
        (r"^\p{Lu}", "\u00c9", True),
        (r"^a\z", "a", True),
        ("(?i)^abc$", "ABC", True),
        ("a(?i)b", "aB", True),
        ("a{,2}", "a", False),  # not a repetition in Go
        ("a{,2}", "a{,2}", True),
        (r"^\x{e9}$", "\u00e9", True),
        (r"^\Qa.b\E$", "a.b", True),
        ("^.$", "\n", False),
        ("^(?P<n>a|b){2,3}?$", "aba", True),
        (r"^[^\s\]]+$", "a]", False),
    ],
)
def test_a_pattern_matches_as_in_go(pattern: str, text: str, matched: bool) -> None:
    assert patterns.problem(pattern) == ""
    assert patterns.matches(pattern, text) is matched
    assert re2.matches(pattern, text) is matched


@pytest.mark.parametrize(
    "pattern", ["(", "*a", "(?=a)", r"(a)\1", r"a\Z", "a++", "(?>a)", "a{1001}", "[b-a]", "a**"]
)
def test_what_go_cannot_read_is_told(pattern: str) -> None:
    assert patterns.problem(pattern).startswith("error parsing regexp: ")


@pytest.mark.parametrize(
    "pattern",
    ["^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", r"^(\d+(\.\d+)?|\.\d+)[a-zA-Z%]{1,3}$", r"^https?://[^\s/]+/?$"],
)
def test_ordinary_patterns_do_without_the_compiler_of_expressions(pattern: str) -> None:
    assert patterns.in_python(pattern)
