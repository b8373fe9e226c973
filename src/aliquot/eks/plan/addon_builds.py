"""Which build of an add-on comes next. EKS' word counts: only builds that it lists for the minors in question."""

import re

from aliquot.eks.estate.estate import Addon, AddonBuild, Estate
from aliquot.eks.plan.plan import CannotPlan
from aliquot.eks.upgrade.acts.addon import Conflicts
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.skew import oldest_kubelet

VPC_CNI, COREDNS, KUBE_PROXY = "vpc-cni", "coredns", "kube-proxy"
_FIRST = (VPC_CNI, COREDNS)
_NUMBER = re.compile(r"\d+", re.ASCII)


def in_order(addons: tuple[Addon, ...]) -> tuple[Addon, ...]:
    """After the control plane: the network, names, then the rest. kube-proxy is not among them: it follows the nodes."""
    first = {name: number for number, name in enumerate(_FIRST)}
    return tuple(
        sorted(
            (one for one in addons if one.name != KUBE_PROXY),
            key=lambda one: (first.get(one.name, len(first)), one.name),
        )
    )


def age(build: str) -> tuple[int, ...]:
    """`v1.18.3-eksbuild.2` as numbers that can be compared."""
    return tuple(int(one) for one in _NUMBER.findall(build))


def before_control_plane(estate: Estate, addon: Addon, to: Minor) -> str | None:
    """A build good for both minors, where the present one is not good for the next. None: it stays, for there is no need, or no
    such build. Raises CannotPlan."""
    if addon.name == KUBE_PROXY:
        return _nearer_kube_proxy(estate, addon, to)
    if not listed(estate, addon) or fits(estate, addon, to):
        return None
    default(estate, addon, to)
    both = tuple(one for one in estate.builds_of(addon.name, estate.cluster.minor) if to in one.minors)
    return _best(both, to) if both else None


def listed(estate: Estate, addon: Addon) -> bool:
    return any(one.addon == addon.name for one in estate.builds)


def fits(estate: Estate, addon: Addon, at: Minor) -> bool:
    return any(one.build == addon.build for one in estate.builds_of(addon.name, at))


def _nearer_kube_proxy(estate: Estate, addon: Addon, to: Minor) -> str | None:
    """It may be behind, but no further than kubelets may."""
    if not listed(estate, addon) or Minor.parse(addon.build) >= oldest_kubelet(to):
        return None
    return default(estate, addon, estate.cluster.minor)


def after_control_plane(estate: Estate, addon: Addon, at: Minor) -> str | None:
    """The one that EKS has as default for the minor. None: what is there is as good or newer. Raises CannotPlan."""
    if not listed(estate, addon):
        return None
    build = default(estate, addon, at)
    newer = fits(estate, addon, at) and age(addon.build) > age(build)
    return None if build == addon.build or newer else build


_ON_CONFLICT = {
    Conflicts.PRESERVE: "",
    Conflicts.OVERWRITE: "; what somebody changed of it in the cluster is set back",
    Conflicts.NONE: "; it fails if somebody changed fields of it in the cluster",
}


def to_build(addon: Addon, was: str, becomes: str, conflicts: Conflicts) -> str:
    """In words."""
    return f"add-on {addon.name} from {was} to {becomes}{_ON_CONFLICT[conflicts]}"


def default(estate: Estate, addon: Addon, at: Minor) -> str:
    builds = estate.builds_of(addon.name, at)
    if not builds:
        raise CannotPlan(
            f"EKS has no build of the add-on {addon.name} for {at}: remove it first, or wait until there is one"
        )
    return _best(builds, at)


def _best(builds: tuple[AddonBuild, ...], minor: Minor) -> str:
    """The default of the minor, else the newest."""
    return max(builds, key=lambda one: (minor in one.default_of, age(one.build))).build


def between(estate: Estate, name: str, build: str, target: str, at: Minor) -> tuple[str, ...]:
    """On the way from one build to another: the newest of each of the add-on's own minors between, of those that go with `at`."""
    first, last = age(build)[:2], age(target)[:2]
    newest: dict[tuple[int, ...], str] = {}
    for one in estate.builds_of(name, at):
        own = age(one.build)[:2]
        if first < own < last and age(one.build) > age(newest.get(own, "")):
            newest[own] = one.build
    return tuple(newest[own] for own in sorted(newest))
