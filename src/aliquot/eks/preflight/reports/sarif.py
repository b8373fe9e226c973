"""As SARIF 2.1.0, which code hosts show beside the lines (docs.oasis-open.org/sarif/sarif/v2.1.0)."""

from typing import Any

from aliquot import __version__
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.verdict import Preflight

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.BLOCK: "error", Severity.WARN: "warning", Severity.INFO: "note"}


def document(preflight: Preflight, titles: dict[str, str]) -> dict[str, Any]:
    """`titles`: of checks, by id."""
    ids = sorted({one.check for one in preflight.findings})
    rules = [{"id": id_, "shortDescription": {"text": titles.get(id_, id_)}} for id_ in ids]
    driver = {"name": "aliquot eks preflight", "version": __version__, "rules": rules}
    notifications = [
        {"level": "warning", "message": {"text": f"not checked: {one.what}: {one.why}"}}
        for one in preflight.unchecked
    ]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
                "results": [_result(one, ids.index(one.check)) for one in preflight.findings],
            }
        ],
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.what}: {finding.why}. To do: {finding.fix}."},
        "locations": [_location(finding)],
    }
    if finding.waived:
        result["suppressions"] = [{"kind": "external", "justification": finding.waived}]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    logical = [{"fullyQualifiedName": finding.what}]
    if not finding.file or finding.line < 1:
        return {"logicalLocations": logical, "message": {"text": finding.where or finding.what}}
    physical = {
        "artifactLocation": {"uri": finding.file.replace("\\", "/")},
        "region": {"startLine": finding.line},
    }
    return {"physicalLocation": physical, "logicalLocations": logical}
