"""Each form tells all of it, whatever the words in it are."""

from typing import Any
from xml.etree import ElementTree

import pytest

from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.reports import as_json, html, junit, sarif, text
from aliquot.eks.preflight.verdict import Code, FailOn, Preflight
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor

EVIL = '<script>alert("x")</script>&\x00'


def finding(severity: Severity = Severity.BLOCK, **more: Any) -> Finding:
    return Finding(
        check="removed-apis", severity=severity, what=EVIL, where="a.yaml:4", why="why", fix="fix", **more
    )


def preflight(*findings: Finding, unchecked: int = 0) -> Preflight:
    return Preflight(
        subject="prod",
        now=Minor(1, 31),
        to=Minor(1, 33),
        findings=findings,
        unchecked=tuple(Unchecked(what=f"u{number}", why="403") for number in range(unchecked)),
        passed=("skew",),
    )


WAIVED = finding(waived="until 2026-12-24: moved by then")
WHOLE = preflight(
    finding(file="a.yaml", line=4, minor=Minor(1, 32)), finding(Severity.WARN), WAIVED, unchecked=1
)


@pytest.mark.parametrize(
    ("result", "fail_on", "allowed", "code"),
    [
        (preflight(), FailOn.BLOCK, False, Code.PASSED),
        (WHOLE, FailOn.BLOCK, True, Code.BLOCKED),
        (preflight(WAIVED), FailOn.WARN, False, Code.PASSED),
        (preflight(finding(Severity.WARN)), FailOn.BLOCK, False, Code.PASSED),
        (preflight(finding(Severity.WARN)), FailOn.WARN, False, Code.WARNED),
        (preflight(unchecked=1), FailOn.BLOCK, False, Code.UNCHECKED),
        (preflight(unchecked=1), FailOn.BLOCK, True, Code.PASSED),
    ],
)
def test_exit_codes(result: Preflight, fail_on: FailOn, allowed: bool, code: Code) -> None:
    assert result.code(fail_on, unchecked_passes=allowed) is code


def test_json_has_stable_fields() -> None:
    told = as_json.document(WHOLE)
    assert told["blocked"] is True
    assert (told["now"], told["to"], told["findings"][0]["minor"]) == ("1.31", "1.33", "1.32")
    assert set(told) == {
        "subject",
        "now",
        "to",
        "findings",
        "unchecked",
        "passed",
        "notMade",
        "blocked",
        "summary",
    }


def test_sarif_has_lines_rules_and_suppressions() -> None:
    (run,) = sarif.document(WHOLE, {"removed-apis": "Removed"})["runs"]
    assert run["tool"]["driver"]["rules"] == [{"id": "removed-apis", "shortDescription": {"text": "Removed"}}]
    levels = [one["level"] for one in run["results"]]
    assert levels == ["error", "warning", "error"]
    physical = run["results"][0]["locations"][0]["physicalLocation"]
    assert (physical["artifactLocation"]["uri"], physical["region"]) == ("a.yaml", {"startLine": 4})
    elsewhere = run["results"][1]["locations"][0]
    assert elsewhere["physicalLocation"]["artifactLocation"]["uri"] == "cluster/prod"
    assert elsewhere["message"]["text"] == "a.yaml:4"
    assert run["results"][2]["suppressions"][0]["justification"].startswith("until")
    assert "u0" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_junit_counts_what_it_has() -> None:
    suite = ElementTree.fromstring(junit.text(WHOLE))
    assert suite.attrib["tests"] == str(len(suite.findall("testcase"))) == "5"
    assert suite.attrib["failures"] == str(len(suite.findall("testcase/failure"))) == "1"
    assert suite.attrib["skipped"] == str(len(suite.findall("testcase/skipped"))) == "3"
    assert "<script>" in suite.findall("testcase")[1].attrib["name"]


def test_html_escapes_and_links_to_nothing() -> None:
    page = html.text(WHOLE, {})
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert "moved by then" in page
    assert "u0" in page


def test_text_says_what_to_do_and_ends_with_the_verdict() -> None:
    lines = text.text(WHOLE).splitlines()
    assert lines[-1] == "prod, 1.31 to 1.33: blocked: 1 blocking, 1 warning, 1 waived, 1 unchecked"
    assert lines.count("        to do: fix") == 3


def test_text_has_no_controls_of_terminals_and_no_lines_of_others() -> None:
    told = text.text(preflight(Finding(check="c", severity=Severity.WARN, what="a\x1b[2J\nblock", why="w", fix="f")))  # fmt: skip
    assert told.splitlines()[0] == "warn    a\ufffd[2J\ufffdblock (c)"
