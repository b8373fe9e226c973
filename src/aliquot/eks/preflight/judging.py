"""All checks over a subject, and what comes of it."""

from collections.abc import Sequence

from aliquot.eks.preflight import waivers as waiving
from aliquot.eks.preflight.checks.table import Check
from aliquot.eks.preflight.findings import Finding
from aliquot.eks.preflight.subject import Subject
from aliquot.eks.preflight.verdict import Preflight
from aliquot.eks.preflight.waivers import Waiver


def judge(subject: Subject, checks: Sequence[Check], waivers: tuple[Waiver, ...] = ()) -> Preflight:
    findings: list[Finding] = []
    passed: list[str] = []
    for check in checks:
        if check.needs not in subject.has:
            continue
        found = list(check.judge(subject))
        findings += found
        # Where something could not be read, nobody can say that there was nothing.
        if not found and not subject.unchecked:
            passed.append(check.id)
    judged = waiving.apply(findings, waivers, subject.today)
    return Preflight(
        subject=subject.name,
        now=subject.now,
        to=subject.to,
        findings=tuple(sorted(set(judged), key=lambda one: one.order)),
        unchecked=subject.unchecked,
        passed=tuple(passed),
    )
