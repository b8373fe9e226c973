"""What there is no plan for. Each is one line that says what to do instead."""

from datetime import date

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.updates import Progress
from aliquot.eks.plan.plan import CannotPlan
from aliquot.eks.versions.calendar import Calendar, Support
from aliquot.eks.versions.minor import Minor

_DECIDE = ("node groups", "add-ons", "builds of add-ons", "launch templates", "updates")
"""Without these nobody knows which steps there are."""
_ON_THEIR_WAY = ("CREATING", "UPDATING", "DELETING")


def check(estate: Estate, to: Minor, calendar: Calendar, today: date) -> None:
    """Raises CannotPlan."""
    cluster = estate.cluster
    named = f"cluster {cluster.name}"
    for one in estate.unchecked:
        if one.what in _DECIDE:
            raise CannotPlan(f"the {one.what} of {named} could not be read: {one.why}")
    if cluster.auto_mode:
        raise CannotPlan(
            f"{named} is of Auto Mode: EKS replaces its nodes by itself, and no step can wait for them; "
            f"upgrade it by aws eks update-cluster-version, after aliquot eks preflight {cluster.name} --to {to}"
        )
    if to < cluster.minor:
        raise CannotPlan(
            f"{named} is at {cluster.minor}, ahead of {to}: an upgrade leads on; to go back is aliquot eks rollback"
        )
    if to.major != cluster.minor.major:
        raise CannotPlan(f"nothing is known of a way from {cluster.minor} to {to}")
    _offered(to, calendar, today)
    on_its_way(estate)


def on_its_way(estate: Estate) -> None:
    """What is planned now would rest on what is not so any more in a moment. Raises CannotPlan."""
    cluster = estate.cluster
    named = f"cluster {cluster.name}"
    running = [one for one in estate.updates if one.progress is Progress.IN_PROGRESS]
    if running:
        raise CannotPlan(
            f"{named} has update {running[0].id} ({running[0].type}) in progress: plan once it is over"
        )
    if cluster.status != "ACTIVE":
        raise CannotPlan(f"{named} is {cluster.status}: plan once it is ACTIVE")
    for group in estate.nodegroups:
        if group.status not in ("ACTIVE", "DEGRADED"):
            raise CannotPlan(f"node group {group.name} of {named} is {group.status}: plan once it is ACTIVE")
    for addon in estate.addons:
        if addon.status in _ON_THEIR_WAY:
            raise CannotPlan(f"add-on {addon.name} of {named} is {addon.status}: plan once it is ACTIVE")


def _offered(to: Minor, calendar: Calendar, today: date) -> None:
    row = calendar.row(to)
    offered = [minor for minor in calendar.offered(today) if calendar.told is None or minor in calendar.told]
    newest = (
        f"the newest that EKS offers is {offered[-1]}" if offered else "EKS offers none that is known here"
    )
    if row is None:
        raise CannotPlan(f"EKS has no {to}: {newest}")
    support = row.standing(today)
    if support is Support.UPCOMING:
        raise CannotPlan(f"EKS has {to} from {row.released} on: {newest}")
    if support is Support.ENDED:
        raise CannotPlan(f"support of {to} ended on {row.extended_until}: {newest}")
    if calendar.told is not None and to not in calendar.told:
        raise CannotPlan(f"EKS does not list {to} in this region: {newest}")
