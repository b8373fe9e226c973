"""May a control plane go back to the minor before? What EKS asks for, as reasons against it; none: it may."""

from aliquot.eks.estate.estate import Cluster, Insight
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.versions.minor import Minor

WINDOW_S = 7 * 86400.0


def against(cluster: Cluster, updates: tuple[SeenUpdate, ...], to: Minor, now_s: float) -> list[str]:
    """Reasons that nothing can mend. `updates`: of the control plane, oldest first."""
    if cluster.minor.previous != to:
        return [
            f"{cluster.name} is at {cluster.minor}: back leads to {cluster.minor.previous}, one minor and no further"
        ]
    upgraded = [
        one
        for one in updates
        if one.type == "VersionUpdate" and one.progress is Progress.SUCCESSFUL and _led_to(one, cluster.minor)
    ]
    if not upgraded:
        if now_s - cluster.created_s <= WINDOW_S:
            return [f"{cluster.name} was made at {cluster.minor}: there is nothing to go back to"]
        return [
            f"no update of the last days has led {cluster.name} to {cluster.minor}: the seven days are over, or it was made so"
        ]
    since_s = now_s - upgraded[-1].created_s
    if since_s > WINDOW_S:
        days = since_s / 86400
        return [f"{cluster.name} came to {cluster.minor} {days:.1f} days ago: EKS goes back within seven"]
    return []


def unready(insights: tuple[Insight, ...], to: Minor) -> list[str]:
    """What EKS says has to be mended first. Warnings and what it does not know are no reason."""
    return [
        f"{one.name}: {one.reason}" + (f" ({'; '.join(one.details)})" if one.details else "")
        for one in insights
        if one.category == "ROLLBACK_READINESS" and one.status == "ERROR" and one.minor in ("", str(to))
    ]


def _led_to(update: SeenUpdate, minor: Minor) -> bool:
    return update.type in ("VersionUpdate", "VersionRollback") and update.parameters.get("Version") == str(
        minor
    )
