"""What a plan rests on: only what decides its steps, by name, so that whoever may not apply it any more is told why."""

from hashlib import sha256

from msgspec import Struct

from aliquot import canonical_json
from aliquot.eks.estate import karpenter
from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.estate.karpenter import NODECLASSES
from aliquot.eks.estate.updates import Progress
from aliquot.eks.plan import canaries
from aliquot.eks.plan.placing import Placement, has_fargate, placement
from aliquot.eks.plan.plan import Options, Plan
from aliquot.eks.plan.pool_steps import has_gangs, to_replace
from aliquot.eks.plan.rolling import has_gpus, no_surge

_GROUP = "node group "


class Difference(Struct, frozen=True):
    name: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.name}: it was {self.was or 'not there'}, it is {self.now or 'not there'}"


def state(estate: Estate) -> dict[str, str]:
    """Sizes that an autoscaler sets are not in it: no step would be another one, but for whether a GPU group has several nodes."""
    cluster, where = estate.cluster, placement(estate)
    found = {
        "cluster: version": str(cluster.minor),
        "cluster: platform version": cluster.platform,
        "cluster: created": f"{cluster.created_s:.0f}",
        "cluster: support policy": cluster.support,
        "workloads on Fargate": "yes" if has_fargate(estate) else "",
        "updates in progress": ", ".join(
            sorted(one.id for one in estate.updates if one.progress is Progress.IN_PROGRESS)
        ),
        "node groups that gangs tie together": "; ".join(
            "+".join(sorted(names)) for names in where.sets if len(names) > 1
        ),
        **_pools(estate, where),
        "node groups with GPUs where nothing but gangs runs": ", ".join(
            one.name
            for one in sorted(estate.nodegroups, key=lambda one: one.name)
            if one.name in where.only_gangs and has_gpus(estate, one)
        ),
    }
    for group in estate.nodegroups:
        found |= {f"{_GROUP}{group.name}: {name}": value for name, value in _group(group).items()}
        if has_gpus(estate, group):
            found[f"{_GROUP}{group.name}: nodes"] = "several" if canaries.several(group) else "one at most"
        if no_surge(estate, group, Options()):
            found[f"{_GROUP}{group.name}: capacity beside what it has"] = "none"
        elif any(template.reservation for template in estate.templates_of(group)):
            found[f"{_GROUP}{group.name}: capacity beside what it has"] = "enough"
    for addon in estate.addons:
        found[f"add-on {addon.name}: build"] = addon.build
        found[f"add-on {addon.name}: configuration"] = addon.configuration
        found[f"add-on {addon.name}: role"] = addon.role_arn
    return {name: value for name, value in sorted(found.items()) if value}


def _pools(estate: Estate, where: Placement) -> dict[str, str]:
    """Not how many nodes each has: that is Karpenter's."""
    if estate.objects is None:
        return {}
    classes = {one.name: one for one in map(karpenter.node_class, estate.objects.of(NODECLASSES.kind))}
    found = {}
    for pool in karpenter.pools(estate.objects):
        of_class = classes.get(pool.node_class)
        how = "not there" if of_class is None else of_class.how
        named = f"NodePool {pool.name}"
        found[f"{named}: node class"] = f"{pool.node_class}, {how}"
        found[f"{named}: gangs or GPUs"] = "yes" if has_gangs(estate, where, pool) else ""
        found[f"{named}: behind the control plane"] = (
            "yes" if to_replace(estate, pool, estate.cluster.minor) else ""
        )
    return found


def _group(group: Nodegroup) -> dict[str, str]:
    most = (
        f"{group.most_unavailable_percentage} %"
        if group.most_unavailable_percentage
        else str(group.most_unavailable)
    )
    return {
        "version": str(group.minor),
        "release": group.release,
        "AMI type": group.ami_type,
        "launch template": f"{group.template} {group.template_version}".strip(),
        "capacity": group.capacity,
        "sizes": f"{group.minimum} to {group.maximum}",
        "update strategy": f"{group.strategy}, {most} at once",
    }


class FoundGroup(Struct, frozen=True, kw_only=True):
    """A node group, as far as a state has it."""

    name: str
    minor: str
    release: str
    template_version: str


def groups(found: dict[str, str]) -> tuple[FoundGroup, ...]:
    """Of a state: what node groups had when it was found."""
    names = [
        name.removeprefix(_GROUP).removesuffix(": version")
        for name in found
        if name.startswith(_GROUP) and name.endswith(": version")
    ]
    return tuple(
        FoundGroup(
            name=name,
            minor=found[f"{_GROUP}{name}: version"],
            release=found.get(f"{_GROUP}{name}: release", ""),
            template_version=found.get(f"{_GROUP}{name}: launch template", "").partition(" ")[2],
        )
        for name in names
    )


def hashed(found: dict[str, str]) -> str:
    return sha256(canonical_json.dumps(found)).hexdigest()


def differs(plan: Plan, estate: Estate) -> tuple[Difference, ...]:
    """What is not as it was when the plan was made; nothing: it may be applied."""
    is_ = state(estate)
    names = sorted(plan.state.keys() | is_.keys())
    return tuple(
        Difference(name, plan.state.get(name, ""), is_.get(name, ""))
        for name in names
        if plan.state.get(name, "") != is_.get(name, "")
    )
