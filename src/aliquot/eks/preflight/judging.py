"""All checks over a subject, and what comes of it."""

from collections.abc import Sequence

from aliquot.eks.preflight import waivers as waiving
from aliquot.eks.preflight.checks.table import Check
from aliquot.eks.preflight.findings import Finding, Unchecked
from aliquot.eks.preflight.subject import Subject
from aliquot.eks.preflight.verdict import NotMade, Preflight
from aliquot.eks.preflight.waivers import Waiver


def judge(subject: Subject, checks: Sequence[Check], waivers: tuple[Waiver, ...] = ()) -> Preflight:
    findings: list[Finding] = []
    unchecked = list(subject.unchecked)
    made: list[str] = []
    open_: set[str] = set()
    not_made: list[NotMade] = []
    for check in checks:
        if check.needs not in subject.has:
            not_made.append(NotMade(check=check.id, needs=check.needs))
        else:
            for one in check.judge(subject):
                if isinstance(one, Unchecked):
                    unchecked.append(one)
                    open_.add(check.id)
                else:
                    findings.append(one)
            made.append(check.id)
    hit = {finding.check for finding in findings} | open_
    # Where something could not be read, nobody can say that there was nothing.
    passed = [] if subject.unchecked else [id_ for id_ in dict.fromkeys(made) if id_ not in hit]
    judged = waiving.apply(findings, waivers, subject.today)
    return Preflight(
        subject=subject.name,
        now=subject.now,
        to=subject.to,
        findings=tuple(sorted(set(judged), key=lambda one: one.order)),
        unchecked=tuple(dict.fromkeys(unchecked)),
        passed=tuple(passed),
        not_made=tuple(dict.fromkeys(not_made)),
    )
