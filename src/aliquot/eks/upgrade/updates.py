"""Whatever EKS does by an *update*: the control plane, an add-on, a node group. One rule for all, over what was seen.

An answer may be lost after its update began. So the rule asks first whether anything is on its way, then whether what is wanted is so,
then whether it has failed since this step began; only then it asks for an update.
"""

from collections.abc import Collection

from msgspec import Struct

from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Verdict, Wait

POLL_S = 30.0


class Subject(Struct, frozen=True, kw_only=True):
    """What is to be updated, as it is."""

    what: str
    """`control plane of prod`, for sentences."""
    reached: bool
    """It is already as it is wanted."""
    settled: bool
    """Its status is one in which EKS begins updates."""
    status: str
    updates: tuple[SeenUpdate, ...]
    """Its own; the newest last."""
    against: str = ""
    """Why no update may be asked for; empty: nothing."""


def judge(subject: Subject, call: Call, *, before: Collection[str]) -> Verdict:
    """`before`: ids of updates that were over when this attempt began. What failed then is decided; clocks are not asked."""
    running = [one for one in subject.updates if one.progress is Progress.IN_PROGRESS]
    if running:
        return Wait(POLL_S, f"{subject.what}: update {running[-1].id} ({running[-1].type}) is in progress")
    if subject.reached:
        if subject.settled:
            return Done(f"{subject.what}: it is so")
        return Wait(POLL_S, f"{subject.what} is {subject.status}")
    failed = [
        one
        for one in subject.updates
        if one.progress in (Progress.FAILED, Progress.CANCELLED) and one.id not in before
    ]
    if failed:
        return Hold(f"{subject.what}: {_failure(failed[-1])}", _todo(failed[-1]))
    if not subject.settled:
        if any(one.progress is Progress.SUCCESSFUL and one.id not in before for one in subject.updates):
            # Its update has ended after it was read, and before its updates were.
            return Wait(POLL_S, f"{subject.what} is {subject.status}")
        return Hold(
            f"{subject.what} is {subject.status}", "look at its health in AWS; go on once it is ACTIVE"
        )
    if subject.against:
        return Hold(f"{subject.what}: {subject.against}", "put that right, then go on")
    return call


def _failure(update: SeenUpdate) -> str:
    if update.progress is Progress.CANCELLED:
        return f"update {update.id} was cancelled"
    said = "; ".join(
        f"{one.code}: {one.message}" + (f" ({', '.join(one.resources)})" if one.resources else "")
        for one in update.errors
    )
    return f"update {update.id} failed: {said or 'EKS does not say why'}"


_TODO = {
    "PodEvictionFailure": "see which pods stay on these nodes and what their budgets say; once they can go, retry",
    "NodeCreationFailure": "new nodes do not join: look at their log, at webhooks that fail closed, at roles and routes; then retry",
    "InsufficientFreeAddresses": "free addresses in the subnets, or give it others; then retry",
    "IpNotAvailable": "free five addresses in each of the cluster's subnets, or give it others; then retry",
    "ConfigurationConflict": "somebody changed fields of the add-on: move the change into its configuration values, which are read anew; then retry",
    "AccessDenied": "give EKS back the permission that the message names; then retry",
}


def _todo(update: SeenUpdate) -> str:
    for error in update.errors:
        if error.code in _TODO:
            return _TODO[error.code]
    return "look at what EKS says, put it right, then retry; or go back"
