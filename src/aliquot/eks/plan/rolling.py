"""How node groups are rolled: in which order and sets, with which strategy, how long it takes."""

import math

from msgspec import Struct
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.estate.places import is_pool
from aliquot.eks.plan.placing import Placement
from aliquot.eks.plan.plan import CannotPlan, Options
from aliquot.eks.plan.targets import CUSTOM, Targets
from aliquot.eks.preflight.surge import nodes_on_top
from aliquot.eks.upgrade.acts.group_config import MOST_AT_ONCE, GroupConfig, Strategy, all_at_once, as_it_is
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.versions.ami_parameters import parameter
from aliquot.eks.versions.minor import Minor

MINUTE_S = 60.0
BOOT_S = 5 * MINUTE_S
DRAIN_S = 3 * MINUTE_S
SETTLE_S = MINUTE_S
"""Which EKS waits between the last pod's leaving and the node's end."""
NODE_MOST_S = 25 * MINUTE_S
"""15 minutes for evictions, after which EKS gives up; the rest to boot and to join."""


class Sets(Struct, frozen=True, kw_only=True):
    """Node groups in the order in which they are rolled; those of one set, together."""

    canary: Nodegroup | None
    """The smallest that has a node and no GPU."""
    plain: tuple[Nodegroup, ...]
    gpu: tuple[tuple[Nodegroup, ...], ...]
    """With GPUs, or tied to a NodePool by a gang. Smallest first, so that what goes wrong hits few."""


def has_gpus(estate: Estate, group: Nodegroup) -> bool:
    gpus = {one.name: one.gpus for one in estate.instance_types}
    return (
        "NVIDIA" in group.ami_type
        or "GPU" in group.ami_type
        or any(gpus.get(name, 0) for name in estate.types_of(group))
    )


def sets(estate: Estate, placement: Placement, behind: tuple[Nodegroup, ...]) -> Sets:
    """Of the groups that are behind."""

    def size(groups: tuple[Nodegroup, ...]) -> tuple[int, list[str]]:
        return sum(one.desired for one in groups), [one.name for one in groups]

    together = [
        tuple(sorted((one for one in behind if one.name in names), key=lambda one: (one.desired, one.name)))
        for names in placement.sets
    ]
    gpu = [
        groups
        for groups, names in zip(together, placement.sets, strict=True)
        if groups and (any(has_gpus(estate, one) for one in groups) or any(map(is_pool, names)))
    ]
    plain = sorted(
        (one for groups in together if groups and groups not in gpu for one in groups),
        # Those without a node show nothing to those after them.
        key=lambda one: (not one.desired, one.desired, one.name),
    )
    canary = next((one for one in plain if one.desired), None)
    return Sets(
        canary=canary,
        plain=tuple(one for one in plain if one is not canary),
        gpu=tuple(sorted(gpu, key=size)),
    )


def target(cluster: str, group: Nodegroup, to: Minor, targets: Targets, options: Options) -> GroupRoll | None:
    """What brings it to the minor; None: it is there. Raises CannotPlan."""
    pin = options.pin(group.name, to)
    template = {"id": group.template, "version": pin.template_version} if pin and pin.template_version else {}
    if group.ami_type == CUSTOM:
        if not template:
            raise CannotPlan(
                f"node group {group.name} has an AMI of your own: say which version of its launch template "
                f"has one of {to} (--template {group.name}@{to}=VERSION)"
            )
        if template["version"] == group.template_version:
            return None
        return GroupRoll(cluster=cluster, name=group.name, minor=to, release="", template=template)
    release = (pin.release if pin else "") or targets.release(group.ami_type, to)
    if not release:
        raise CannotPlan(f"{_no_release(group, to, targets)} (--release {group.name}@{to}=RELEASE)")
    same_template = not template or template["version"] == group.template_version
    if (group.minor, group.release) == (to, release) and same_template:
        return None
    return GroupRoll(
        cluster=cluster,
        name=group.name,
        minor=to,
        release=release,
        template={} if same_template else template,
    )


def _no_release(group: Nodegroup, to: Minor, targets: Targets) -> str:
    name = parameter(group.ami_type, to)
    if name is None:
        return f"node group {group.name} is of {group.ami_type}, of which AWS publishes no release that is known here: say which"
    denied = next((one.why for one in targets.unchecked if group.ami_type in one.what), "")
    if denied:
        return f"the release of {group.ami_type} for {to} could not be read ({denied}): say which"
    return f"AWS publishes no release of {group.ami_type} for {to} ({name}): move node group {group.name} to another AMI type first, or say which"


def config(estate: Estate, placement: Placement, group: Nodegroup, options: Options) -> GroupConfig | None:
    """How it is to be rolled; None: as it is configured."""
    strategy = Strategy.MINIMAL if no_surge(estate, group, options) else Strategy(group.strategy)
    now = as_it_is(estate.cluster.name, group)
    wanted = replace(now, strategy=strategy)
    if has_gpus(estate, group) and group.name in placement.only_gangs:
        if strategy is Strategy.MINIMAL:
            wanted = all_at_once(estate.cluster.name, group)
        else:
            # As many as come on top anyway: what was looked at beforehand (quotas, addresses, reservations) stays true.
            on_top = min(nodes_on_top(estate, group), group.desired, MOST_AT_ONCE)
            if on_top > group.most_unavailable:
                wanted = replace(wanted, most_unavailable=on_top, most_unavailable_percentage=None)
    return None if wanted == now else wanted


def no_surge(estate: Estate, group: Nodegroup, options: Options) -> bool:
    """Its capacity is all that there is."""
    if group.name in options.no_surge or group.capacity == "CAPACITY_BLOCK":
        return True
    for template in estate.templates_of(group):
        if template.market == "capacity-block":
            return True
        if template.reservation:
            spare = sum(one.available for one in estate.reservations if one.id == template.reservation)
            return spare < nodes_on_top(estate, group)
    return False


def batches(group: Nodegroup) -> int:
    return math.ceil(group.desired / max(1, group.most_unavailable))


def expected_s(group: Nodegroup) -> float:
    """Of a group as it is configured when it is rolled."""
    if not group.desired:
        return MINUTE_S
    if group.strategy == Strategy.MINIMAL:
        return batches(group) * (DRAIN_S + SETTLE_S + BOOT_S)
    return BOOT_S + batches(group) * (DRAIN_S + SETTLE_S) + BOOT_S


def drain_s(group: Nodegroup) -> float:
    """Where nobody has to be waited for."""
    return max(1, group.desired) * DRAIN_S


def at_most_s(group: Nodegroup) -> float:
    return (batches(group) + 1) * NODE_MOST_S
