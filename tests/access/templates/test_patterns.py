"""Patterns of parameters: none of those that are let through takes long, whatever is tried on it."""

import re

import pytest

from aliquot.access.core.templates.patterns import trouble


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z0-9.-]+",
        "gpu-reset-[a-z0-9.-]+",
        "web-[0-9]{1,3}",
        "(?:web|db)-[0-9]+",
        "(web|db)(-canary)?",
        r"node-\d+\.example\.com",
        "[]a]+x",
        ".*",
        "[^.]+",
    ],
)
def test_simple_ones_are_taken(pattern: str) -> None:
    assert trouble(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[a-z", "not a regular expression"),
        ("[[a-z]+", "not a regular expression"),
        ("(a", "not a regular expression"),
        ("(a+)+", "a group is repeated"),
        ("(?:a|aa)*", "a group is repeated"),
        ("(a|b){1,9}", "a group is repeated"),
        ("a*a*a*a*b", "4 repeats"),
        ("a*?a*?a*?a*?b", "4 repeats"),
        (r"(a+)\1", "an escape that is not needed"),
        (r"\Aa", "an escape that is not needed"),
        ("(?=a)a", "looks around"),
        ("(?s).*", "looks around, is named or sets flags"),
        ("(?P<n>a)", "looks around, is named"),
        ("a" * 201, "201 characters"),
        ("a{1,99999999999999999999}", "not a regular expression"),
    ],
)
def test_others_are_not(pattern: str, why: str) -> None:
    assert why in trouble(pattern)


@pytest.mark.parametrize("pattern", ["a*a*a*b", ".*.*.*x", "[a-z]*[a-z0-9]*[a-z.-]*_"])
def test_the_worst_that_is_taken_ends(pattern: str) -> None:
    assert trouble(pattern) == ""
    assert re.fullmatch(pattern, "a" * 253) is None
