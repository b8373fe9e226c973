"""How the nodes of a group are replaced, as the guide has it (Managed node group update behaviour).

DEFAULT: some new nodes more than there were (two for each zone, or as many as may be unavailable), one ready in each zone; then old
ones are cordoned and emptied, some at a time, and ended; then down to the size that was wanted. MINIMAL: all old nodes are cordoned
first, and ended before new ones come, so that there are never more than were wanted. A node that does not get empty within 15
minutes ends the update, if it was not forced; what has been replaced stays so.
"""

from dataclasses import replace
from typing import Any

from aliquot.eks.fake.fleet import Machine
from aliquot.eks.fake.rules import capacity, health
from aliquot.eks.fake.world import Cluster, Node, Nodegroup, Roll, Update, World, at

STARVED = "AsgInstanceLaunchFailures"
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


def fill(world: World, group: Nodegroup, minor: str, release: str, size: int, now_s: float) -> None:
    """Up to so many nodes, as far as there are instances to be had. Only one that comes takes back that there was none."""
    while len(group.nodes) < size:
        place = capacity.find(world, group, now_s)
        if place is None:
            group.starved_s = now_s if group.starved_s is None else group.starved_s
            health.set_issue(group.told, STARVED, capacity.why_not(group), _groups(group))
            return
        _launch(world, group, place, minor, release, now_s)
        health.clear_issue(group.told, STARVED)
        group.starved_s = None
    group.starved_s = None


def _groups(group: Nodegroup) -> list[str]:
    return [one["name"] for one in group.told["resources"]["autoScalingGroups"]]


def _launch(
    world: World, group: Nodegroup, place: capacity.Place, minor: str, release: str, now_s: float
) -> None:
    told, number = group.told, group.launched
    group.launched += 1
    instance = f"i-{world.rng.getrandbits(68):017x}"
    machine = Machine(
        name=f"{told['nodegroupName']}-{number}-{instance[-5:]}",
        instance_id=instance,
        cluster=told["clusterName"],
        nodegroup=told["nodegroupName"],
        zone=place.zone,
        instance_type=place.instance_type,
        ami_type=told["amiType"],
        minor=minor,
        release=release,
        labels=dict(told["labels"]),
        taints=_taints(group),
    )
    group.nodes[machine.name] = Node(machine=machine, launched_s=now_s, reservation=place.reservation)
    if place.reservation:
        world.market.reservations[place.reservation].used.add(instance)
    world.fleet.launch(machine)


def change(world: World, group: Nodegroup) -> None:
    """Labels and taints of the group are those of the nodes that it has, too."""
    for node in group.nodes.values():
        node.machine = replace(node.machine, labels=dict(group.told["labels"]), taints=_taints(group))
        world.fleet.change(node.machine)


def _taints(group: Nodegroup) -> tuple[tuple[str, str, str], ...]:
    return tuple((one["key"], one.get("value", ""), _EFFECTS[one["effect"]]) for one in group.told["taints"])


def scale(world: World, group: Nodegroup, now_s: float) -> None:
    """To the size that is wanted, where no roll is on."""
    want = group.told["scalingConfig"]["desiredSize"]
    fill(world, group, group.told["version"], group.told["releaseVersion"], want, now_s)
    for name in list(group.nodes)[want:]:
        _end(world, group, name)


def _end(world: World, group: Nodegroup, name: str) -> None:
    machine = group.nodes.pop(name).machine
    world.market.let_go(machine.instance_id)
    world.fleet.terminate(machine)


def ready(world: World, node: Node, now_s: float) -> bool:
    return now_s - node.launched_s >= world.durations.launch_node and world.fleet.ready(node.machine)


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    for name, group in list(cluster.nodegroups.items()):
        status = group.told["status"]
        _end_blocks(world, group, now_s)
        if status == "CREATING":
            _creating(world, group, now_s)
        elif status == "DELETING":
            _deleting(world, cluster, name, group, now_s)
        elif group.roll is not None:
            _rolling(world, cluster.updates[group.roll.update], group, group.roll, now_s)
        elif status in ("ACTIVE", "DEGRADED"):
            _keep(world, group, now_s)


def _end_blocks(world: World, group: Nodegroup, now_s: float) -> None:
    """A block takes its instances along, and asks no pod."""
    for name, node in list(group.nodes.items()):
        reservation = world.market.reservations.get(node.reservation)
        if reservation is not None and reservation.ends_instances(now_s):
            _end(world, group, name)


def _keep(world: World, group: Nodegroup, now_s: float) -> None:
    """An auto scaling group puts nodes that are gone back; where it cannot, the group is degraded."""
    want = group.told["scalingConfig"]["desiredSize"]
    fill(world, group, group.told["version"], group.told["releaseVersion"], want, now_s)
    group.told["status"] = "DEGRADED" if group.told["health"]["issues"] else "ACTIVE"


def _creating(world: World, group: Nodegroup, now_s: float) -> None:
    if group.failing is not None:
        if now_s - group.since_s >= world.durations.launch_node:
            group.told |= {"status": "CREATE_FAILED", "health": {"issues": [group.failing]}}
        return
    want = group.told["scalingConfig"]["desiredSize"]
    fill(world, group, group.told["version"], group.told["releaseVersion"], want, now_s)
    if len(group.nodes) >= want and all(ready(world, node, now_s) for node in group.nodes.values()):
        group.told["status"] = "ACTIVE"
    elif now_s - group.since_s > world.durations.create_nodegroup_most:
        late = [node.machine.instance_id for node in group.nodes.values() if not ready(world, node, now_s)]
        group.told["status"] = "CREATE_FAILED"
        if late:
            message = "Instances failed to join the kubernetes cluster"
            health.set_issue(group.told, "NodeCreationFailure", message, late)


def _deleting(world: World, cluster: Cluster, name: str, group: Nodegroup, now_s: float) -> None:
    waited = now_s - group.since_s
    for node in list(group.nodes.values()):
        if world.fleet.drained(node.machine) or waited > world.durations.evict_most:
            _end(world, group, node.machine.name)
    if group.nodes or waited <= world.durations.settle:
        return
    if group.failing is not None:
        group.told |= {"status": "DELETE_FAILED", "health": {"issues": [group.failing]}}
    else:
        del cluster.nodegroups[name]


def _rolling(world: World, update: Update, group: Nodegroup, roll: Roll, now_s: float) -> None:
    if update.errors and update.due_s is not None and now_s >= update.due_s:
        _fail(world, update, group, update.errors[0], now_s)
        return
    want = group.told["scalingConfig"]["desiredSize"]
    old = [
        n for n in group.nodes.values() if (n.machine.minor, n.machine.release) != (roll.minor, roll.release)
    ]
    new = [n for n in group.nodes.values() if n not in old]
    up = [node for node in new if ready(world, node, now_s)]
    zones_up = {node.machine.zone for node in up}
    zones = {node.machine.zone for node in group.nodes.values()}
    surging = bool(roll.surge and old and zones_up != zones)
    if _late(world, new, up, now_s) or _starving(world, group, want, surging, now_s):
        late = [node.machine.instance_id for node in new if node not in up]
        message = "Couldn't proceed with upgrade process as new nodes are not joining node group"
        error = {"errorCode": "NodeCreationFailure", "errorMessage": message, "resourceIds": late}
        _fail(world, update, group, error, now_s)
        return
    if roll.strategy == "MINIMAL":
        for node in old:
            world.fleet.cordon(node.machine)
    fill(world, group, roll.minor, roll.release, want + (roll.surge if old else 0), now_s)
    if roll.surge and old and zones_up != {node.machine.zone for node in group.nodes.values()}:
        return
    if not _replaced(world, update, group, roll, old, new, up, now_s):
        return
    if not old and len(up) == len(group.nodes) >= want:
        for name in list(group.nodes)[want:]:
            _end(world, group, name)
        _succeed(update, group, roll, now_s)


def _replaced(
    world: World,
    update: Update,
    group: Nodegroup,
    roll: Roll,
    old: list[Node],
    new: list[Node],
    up: list[Node],
    now_s: float,
) -> bool:
    """One look at the old nodes: some begin to be emptied, some end. False: the update has failed."""
    for node in [one for one in old if one.draining_s is not None]:
        assert node.draining_s is not None
        if world.fleet.drained(node.machine):
            node.drained_since_s = now_s if node.drained_since_s is None else node.drained_since_s
            if now_s - node.drained_since_s >= world.durations.settle:
                _end(world, group, node.machine.name)
                old.remove(node)
        elif now_s - node.draining_s > world.durations.evict_most:
            if roll.force:
                world.fleet.drain(node.machine, force=True)
                continue
            error = {
                "errorCode": "PodEvictionFailure",
                "errorMessage": "Reached max retries while trying to evict pods from nodes in node group "
                + group.told["nodegroupName"],
                "resourceIds": [node.machine.name],
            }
            _fail(world, update, group, error, now_s)
            return False
    # Without surge, what has ended and what has not come up yet are unavailable, too.
    away = sum(1 for node in old if node.draining_s is not None)
    if not roll.surge:
        away += len(new) - len(up) + max(0, group.told["scalingConfig"]["desiredSize"] - len(group.nodes))
    for node in [one for one in old if one.draining_s is None][: max(0, roll.unavailable - away)]:
        node.draining_s = now_s
        world.fleet.cordon(node.machine)
        world.fleet.drain(node.machine, force=False)
    return True


def _late(world: World, new: list[Node], up: list[Node], now_s: float) -> bool:
    return any(
        now_s - node.launched_s > world.durations.create_nodegroup_most for node in new if node not in up
    )


def _starving(world: World, group: Nodegroup, want: int, surging: bool, now_s: float) -> bool:
    """There has been no instance for too long, and it does not go on without."""
    if group.starved_s is None or not (surging or len(group.nodes) < want):
        return False
    return now_s - group.starved_s > world.durations.create_nodegroup_most


def _succeed(update: Update, group: Nodegroup, roll: Roll, now_s: float) -> None:
    update.status = "Successful"
    group.told |= {"version": roll.minor, "releaseVersion": roll.release, "modifiedAt": at(now_s)}
    if roll.template:
        group.told["launchTemplate"] = roll.template
    group.told["status"] = "ACTIVE"
    group.starved_s, group.roll = None, None
    health.clear_issue(group.told, STARVED)


def _fail(world: World, update: Update, group: Nodegroup, error: dict[str, Any], now_s: float) -> None:
    """What is half replaced stays half replaced: old nodes may be used again, surplus new ones go."""
    update.status, update.errors = "Failed", [error]
    group.told["status"] = "DEGRADED" if group.told["health"]["issues"] else "ACTIVE"
    want, roll = group.told["scalingConfig"]["desiredSize"], group.roll
    assert roll is not None
    unready = [node for node in group.nodes.values() if not ready(world, node, now_s)]
    for node in unready[: max(0, len(group.nodes) - want)]:
        _end(world, group, node.machine.name)
    for node in group.nodes.values():
        node.draining_s = node.drained_since_s = None
        world.fleet.uncordon(node.machine)
    group.draw, group.roll, group.starved_s = roll.draw_before, None, None
