"""Whether the cluster stands still and well enough to be upgraded at all."""

from collections.abc import Iterator

from aliquot.eks.estate.estate import Estate, Issue
from aliquot.eks.estate.updates import Progress
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.minor import Minor

CHECK = "standing"
_GROUP_FINE = frozenset({"ACTIVE"})


def judge(estate: Estate, to: Minor) -> Iterator[Finding]:
    cluster = estate.cluster
    what = f"cluster {cluster.name}"
    running = [one for one in estate.updates if one.progress is Progress.IN_PROGRESS]
    for update in running:
        yield _block(what, f"update {update.id} ({update.type}) is in progress", "wait until it is over")
    if cluster.status != "ACTIVE" and not running:
        yield _block(
            what, f"it is {cluster.status}", "EKS begins updates of ACTIVE clusters alone: look at its health"
        )
    if to < cluster.minor:
        yield _block(
            what,
            f"it is at {cluster.minor}, ahead of {to}",
            "an upgrade leads on; EKS goes back one minor within seven days (UpdateClusterVersion)",
        )
    yield from _issues(what, cluster.issues)
    for group in estate.nodegroups:
        named = f"node group {group.name}"
        if group.status not in _GROUP_FINE:
            yield _block(
                named,
                f"it is {group.status}",
                "mend it first: an update of it would fail, and hold the upgrade half way",
            )
        yield from _issues(named, group.issues)
    for addon in estate.addons:
        if addon.status != "ACTIVE":
            issues = "; ".join(f"{one.code}: {one.message}" for one in addon.issues)
            yield Finding(
                check=CHECK,
                severity=Severity.WARN,
                what=f"add-on {addon.name}",
                why=f"it is {addon.status}" + (f": {issues}" if issues else ""),
                fix="mend it first, so that what is wrong afterwards is the upgrade's",
            )


def _issues(what: str, issues: tuple[Issue, ...]) -> Iterator[Finding]:
    for issue in issues:
        about = f" ({', '.join(issue.resources)})" if issue.resources else ""
        yield _block(
            what, f"{issue.code}: {issue.message}{about}", "mend it first: EKS' own checks would fail on it"
        )


def _block(what: str, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=Severity.BLOCK, what=what, why=why, fix=fix)
