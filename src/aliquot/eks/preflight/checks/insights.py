"""What EKS itself has against it."""

from collections.abc import Iterator

from aliquot.eks.estate.estate import Estate
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.minor import Minor

CHECK = "eks-insights"
ADDONS, KUBELETS, KUBE_PROXY = (
    "EKS add-on version compatibility",
    "Kubelet version skew",
    "kube-proxy version skew",
)
"""As EKS calls some of its insights."""
_OLD_S = 86400.0 * 2


def judge(estate: Estate, now: Minor, to: Minor) -> Iterator[Finding]:
    for insight in estate.insights:
        if insight.category != "UPGRADE_READINESS" or insight.status == "PASSING":
            continue
        try:
            minor = Minor.parse(insight.minor)
        except ValueError:
            minor = to
        if not now < minor <= to:
            continue
        details = f": {'; '.join(insight.details)}" if insight.details else ""
        yield Finding(
            check=CHECK,
            severity=_severity(insight.status, minor, now),
            what=f"insight {insight.name}",
            where=insight.id,
            why=f"{insight.reason or insight.status}{details}",
            fix="see what it names; usage counts for 30 days after the last request, so waive it if it is mended",
            minor=minor,
        )
        if estate.read_s and insight.refreshed_s and estate.read_s - insight.refreshed_s > _OLD_S:
            yield Finding(
                check=CHECK,
                severity=Severity.INFO,
                what=f"insight {insight.name}",
                where=insight.id,
                why="it was looked at more than two days ago",
                fix="have EKS look anew (StartInsightsRefresh), then look again",
            )


def _severity(status: str, minor: Minor, now: Minor) -> Severity:
    """EKS calls ERROR what breaks at the next minor, and WARNING what breaks later: on a way of several hops that is a block, too."""
    if status == "ERROR" or (status == "WARNING" and minor > now.next):
        return Severity.BLOCK
    return Severity.WARN
