"""The switches of NVIDIA's device plugin: which checks count."""

import pytest

from aliquot.node.health.policy import IGNORED_XIDS, HealthPolicy, parse

OTHER = 555
"""An XID that no switch names."""


@pytest.mark.parametrize(
    ("text", "xids", "skipped"),
    [
        ("", set(), ""),
        (",", set(), ""),
        ("not-an-int", set(), "not-an-int"),
        ("68", {68}, ""),
        ("-68", set(), "-68"),
        ("68  ", {68}, ""),
        ("68,", {68}, ""),
        (",68", {68}, ""),
        ("68,67", {67, 68}, ""),
        ("68,not-an-int,67", {67, 68}, "not-an-int"),
        # Beyond what NVIDIA's plugin tests: its 0 means all, and its blanks inside a list are trimmed too.
        ("0", set(), "0"),
        (" 68 ,\t67", {67, 68}, ""),
        ("6_8,+68,٦٨,4.5", set(), "6_8, +68, ٦٨, 4.5"),
        ("x,x,68", {68}, "x"),
    ],
)
def test_a_list_of_xids_is_read_as_far_as_it_can_be(text: str, xids: set[int], skipped: str) -> None:
    disabled, warning = parse(text, "")
    assert disabled == HealthPolicy(ignored=IGNORED_XIDS | xids)
    enabled, _ = parse("", text)
    assert enabled == HealthPolicy(watched=frozenset(xids))
    said = f"DP_DISABLE_HEALTHCHECKS: {skipped}: skipped, for it is not an XID, all, xids or memory"
    assert warning == (said if skipped else "")


def test_one_warning_names_all_that_was_skipped() -> None:
    _, warning = parse("all,-1", "48, forty-nine")
    assert warning == (
        "DP_DISABLE_HEALTHCHECKS: -1; DP_ENABLE_HEALTHCHECKS: forty-nine: "
        "skipped, for it is not an XID, all, xids or memory"
    )


@pytest.mark.parametrize(
    ("disabled", "enabled", "ignored", "watched", "memory"),
    [
        ("", "", IGNORED_XIDS, {48, OTHER}, True),
        ("all", "", IGNORED_XIDS | {48, OTHER}, set(), False),
        ("xids", "", IGNORED_XIDS | {48, OTHER}, set(), True),
        ("", "all", set(), IGNORED_XIDS | {48, OTHER}, True),
        ("11", "11", IGNORED_XIDS, {11, OTHER}, True),
        ("", "31", IGNORED_XIDS - {31}, {31, OTHER}, True),
        ("48", "", IGNORED_XIDS | {48}, {OTHER}, True),
        ("ALL", "", IGNORED_XIDS | {OTHER}, set(), False),
        # NVIDIA's plugin watches nothing then.
        ("all", "48,31", (IGNORED_XIDS | {OTHER}) - {31}, {48, 31}, False),
        ("xids", "48", IGNORED_XIDS | {OTHER}, {48}, True),
        ("all", "all", set(), IGNORED_XIDS | {OTHER}, True),
        ("all", "xids", set(), IGNORED_XIDS | {OTHER}, False),
        ("memory", "", IGNORED_XIDS, {OTHER}, False),
        ("all", "memory", IGNORED_XIDS | {OTHER}, set(), True),
    ],
)
def test_what_is_enabled_goes_before_what_is_disabled(
    disabled: str, enabled: str, ignored: set[int], watched: set[int], memory: bool
) -> None:
    policy, warning = parse(disabled, enabled)
    assert {xid for xid in ignored | watched if policy.ignores(xid)} == ignored
    assert (policy.memory, warning) == (memory, "")
