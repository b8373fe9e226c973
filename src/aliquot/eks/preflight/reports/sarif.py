"""As SARIF 2.1.0, which code hosts show beside the lines (docs.oasis-open.org/sarif/sarif/v2.1.0).

GitHub shows a result only where it has a file to show it in, and knows it again by `primaryLocationLineHash`: findings of a cluster
stand in a file that is named after it, and the hash is of what was found, not of the line it happens to be in.
"""

from collections import Counter
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

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
    notifications += [
        {"level": "note", "message": {"text": f"not made: {', '.join(ids)}: {why}"}}
        for why, ids in preflight.not_made_by_reason
    ]
    seen: Counter[str] = Counter()
    results = []
    for finding in preflight.findings:
        print_ = _fingerprint(finding)
        seen[print_] += 1
        result = _result(finding, ids.index(finding.check), preflight.subject)
        result["partialFingerprints"] = {"primaryLocationLineHash": f"{print_}:{seen[print_]}"}
        results.append(result)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
                "results": results,
            }
        ],
    }


def _fingerprint(finding: Finding) -> str:
    where = finding.file or finding.where
    words = "\0".join((finding.check, finding.what, where, finding.owner, str(finding.minor)))
    return sha256(words.encode(errors="surrogatepass")).hexdigest()[:16]


def _result(finding: Finding, rule: int, subject: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.what}: {finding.why}. To do: {finding.fix}."},
        "locations": [_location(finding, subject)],
    }
    if finding.waived:
        result["suppressions"] = [{"kind": "external", "justification": finding.waived}]
    return result


def _location(finding: Finding, subject: str) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(finding.file) if finding.file else _uri(f"cluster/{subject}")},
            "region": {"startLine": max(1, finding.line)},
        },
        "logicalLocations": [{"fullyQualifiedName": finding.what}],
    }
    if not finding.file:
        location["message"] = {"text": finding.where or finding.what}
    return location


def _uri(path: str) -> str:
    """A relative path stays one: code hosts take it from the root of the repository."""
    plain = quote(PurePath(path).as_posix().replace("\\", "/"), errors="replace")
    return f"file://{plain}" if plain.startswith("/") else plain
