"""All checks, by id."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from aliquot.eks.preflight.checks import removed_apis
from aliquot.eks.preflight.findings import Finding
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.versions import removals


class Check(Struct, frozen=True, kw_only=True):
    id: str
    title: str
    needs: Need
    judge: Callable[[Subject], Iterator[Finding]]


CHECKS = (
    Check(
        id=removed_apis.CHECK,
        title="APIs that the new minor does not serve",
        needs=Need.SIGHTINGS,
        judge=lambda subject: removed_apis.judge(
            subject.sightings, removals.shipped(), subject.now, subject.to
        ),
    ),
)
TITLES = {check.id: check.title for check in CHECKS} | {"waivers": "Waivers that are over or fit nothing"}
