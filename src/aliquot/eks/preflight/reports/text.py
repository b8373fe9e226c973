"""For people at a terminal: three lines for each finding, worst first."""

import re
from collections.abc import Iterator

from aliquot.eks.preflight.findings import Finding
from aliquot.eks.preflight.verdict import Preflight

_WIDE = 7


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""By which a name could write over a terminal, or have lines of its own."""


def text(preflight: Preflight) -> str:
    return "\n".join(_CONTROL.sub("\ufffd", line) for line in _lines(preflight)) + "\n"


def _lines(preflight: Preflight) -> Iterator[str]:
    for finding in preflight.findings:
        yield from _finding(finding)
    for one in preflight.unchecked:
        yield f"{'not checked':{_WIDE}} {one.what}: {one.why}"
    for why, ids in preflight.not_made_by_reason:
        yield f"{'not made':{_WIDE}} {', '.join(ids)}: {why}"
    yield preflight.summary


def _finding(finding: Finding) -> Iterator[str]:
    places = [place for place in (finding.where, finding.owner, finding.check) if place]
    word = "waived" if finding.waived else finding.severity
    yield f"{word:{_WIDE}} {finding.what} ({', '.join(places)})"
    indent = " " * (_WIDE + 1)
    yield f"{indent}{finding.why}"
    yield f"{indent}to do: {finding.fix}"
    if finding.waived:
        yield f"{indent}waived {finding.waived}"
