"""SARIF as its schema and GitHub want it: what has to be there is there, whatever the findings are."""

from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as some

from aliquot.eks.preflight.checks.table import TITLES
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.reports import sarif
from aliquot.eks.preflight.verdict import Preflight
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor

RUN = {"tool", "invocations", "results"}
RESULT = {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"}
LEVELS = {"none", "note", "warning", "error"}
WORDS = some.text(max_size=20)


def findings() -> some.SearchStrategy[Finding]:
    return some.builds(
        Finding,
        check=some.sampled_from(sorted(TITLES)),
        severity=some.sampled_from(Severity),
        what=WORDS,
        where=WORDS,
        owner=WORDS,
        why=WORDS,
        fix=WORDS,
        minor=some.none() | some.just(Minor(1, 32)),
        file=some.sampled_from(["", "a.yaml", "/abs/a b.yaml", "ünï/č.yaml", "c#d%.yaml"]),
        line=some.integers(0, 9),
        waived=some.sampled_from(["", "until 2027-01-01: ok"]),
    )


def document(*found: Finding, unchecked: tuple[Unchecked, ...] = ()) -> dict[str, Any]:
    result = Preflight(
        subject="prod",
        now=Minor(1, 31),
        to=Minor(1, 32),
        findings=found,
        unchecked=unchecked,
        passed=(),
    )
    return sarif.document(result, TITLES)


@given(some.lists(findings(), max_size=6))
def test_what_the_schema_requires_is_there(found: list[Finding]) -> None:
    told = document(*found, unchecked=(Unchecked(what="nodes", why="403"),))
    assert told["version"] == "2.1.0"
    assert told["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = told["runs"]
    assert set(run) == RUN
    driver = run["tool"]["driver"]
    rules = driver["rules"]
    assert driver["name"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["shortDescription"]["text"] for rule in rules)
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    assert all(one["message"]["text"] for one in invocation["toolExecutionNotifications"])
    for finding, result in zip(found, run["results"], strict=True):
        assert set(result) - {"suppressions"} == RESULT
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.check
        assert result["level"] in LEVELS
        assert result["message"]["text"]
        assert bool(result.get("suppressions")) == bool(finding.waived)
        assert all(one["kind"] in {"inSource", "external"} for one in result.get("suppressions", ()))
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["region"]["startLine"] >= 1
        uri = physical["artifactLocation"]["uri"]
        assert uri
        assert uri.isascii()
        assert (urlsplit(uri).scheme, urlsplit(uri).fragment) == (
            "file" if uri.startswith("file:") else "",
            "",
        )


@given(some.lists(findings(), max_size=6))
def test_fingerprints_tell_results_apart(found: list[Finding]) -> None:
    results = document(*found)["runs"][0]["results"]
    prints = [one["partialFingerprints"]["primaryLocationLineHash"] for one in results]
    assert len(set(prints)) == len(prints)


def test_a_finding_is_known_again_where_the_file_has_grown() -> None:
    def print_of(line: int, what: str = "FlowSchema shop") -> str:
        one = Finding(
            check="removed-apis",
            severity=Severity.BLOCK,
            what=what,
            why="w",
            fix="f",
            where=f"a.yaml:{line}",
            file="a.yaml",
            line=line,
        )
        told: str = document(one)["runs"][0]["results"][0]["partialFingerprints"]["primaryLocationLineHash"]
        return told

    assert print_of(4) == print_of(40)
    assert print_of(4) != print_of(4, "FlowSchema other")


def test_paths_become_uris() -> None:
    def uri(file: str) -> str:
        one = Finding(
            check="removed-apis", severity=Severity.WARN, what="x", why="w", fix="f", file=file, line=1
        )
        told: str = document(one)["runs"][0]["results"][0]["locations"][0]["physicalLocation"][
            "artifactLocation"
        ]["uri"]
        return told

    assert uri("deploy/a b#1.yaml") == "deploy/a%20b%231.yaml"
    assert uri("/srv/a.yaml") == "file:///srv/a.yaml"
    assert uri("deploy\\a.yaml") == "deploy/a.yaml"
