"""What the preflight of a hop would block on, and the hop itself puts right before its control plane goes on. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from aliquot.eks.plan import addon_builds
from aliquot.eks.plan.way import Way
from aliquot.eks.preflight.checks import insights, version_skew
from aliquot.eks.preflight.waivers import Waiver
from aliquot.eks.versions.skew import oldest_kubelet

_DAYS = 90
"""A plan may soak for long; older than that it is made anew."""


def mended(way: Way) -> Iterator[Waiver]:
    if way.rest:
        return
    reason = f"this plan puts it right before the control plane goes on to {way.hop.to}"
    expires = way.today + timedelta(days=_DAYS)
    for check, what in dict.fromkeys((*_groups(way), *_addons(way))):
        yield Waiver(check=check, what=what, reason=reason, expires=expires)


def _groups(way: Way) -> Iterator[tuple[str, str]]:
    for group in way.estate.nodegroups:
        if group.minor < way.hop.now:
            named = f"node group {group.name}"
            yield version_skew.GROUPS, named
            if group.minor < oldest_kubelet(way.hop.to):
                yield version_skew.CHECK, f"{named} (*"
                yield insights.CHECK, f"insight {insights.KUBELETS}"


def _addons(way: Way) -> Iterator[tuple[str, str]]:
    """EKS names all add-ons and all nodes in one insight; checks of our own look at each, and go on to block on those that nobody puts right."""
    to = way.hop.to
    misfits = [
        one
        for one in way.estate.addons
        if addon_builds.listed(way.estate, one) and not addon_builds.fits(way.estate, one, to)
    ]
    raised = [one for one in way.estate.addons if addon_builds.before_control_plane(way.estate, one, to)]
    if misfits and all(one in raised for one in misfits):
        yield insights.CHECK, f"insight {insights.ADDONS}"
    if any(one.name == addon_builds.KUBE_PROXY for one in raised):
        yield version_skew.CHECK, f"add-on {addon_builds.KUBE_PROXY}"
        yield insights.CHECK, f"insight {insights.KUBE_PROXY}"
