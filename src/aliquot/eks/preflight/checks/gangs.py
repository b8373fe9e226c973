"""Gangs that a roll of their nodes would cut: it takes one node after the other, and each time the whole job begins anew.

Also pods that may take longer to end than EKS waits for them.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.gangs import Gang, Root, controller, of_objects
from aliquot.eks.estate.job_kinds import Way
from aliquot.eks.estate.objects import Objects, Pod
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.pools import Pool, pools
from aliquot.kube.api.checkpoint import LAST, ON_REQUEST, read

CHECK = "gangs"
_EKS_WAITS_S = 15 * 60
"""For the pods of a node to go, while it replaces the nodes of a managed group without force; then PodEvictionFailure (EKS user guide)."""
_FEW = 3
_STOPS = {Way.FIELD: True, Way.KUEUE: False, Way.SCALE: 0}


def judge(estate: Estate) -> Iterator[Finding]:
    there = pools(estate)
    of_node = {node.metadata.name: pool.name for pool in there for node in pool.nodes}
    for gang in of_objects(estate.objects or Objects()):
        placed = [pod for pod in gang.pods if pod.spec.node_name in of_node]
        if len(placed) > 1:
            yield _cut(gang, placed, gang.places(of_node))
    for pool in there:
        # One that another takes the place of is emptied without EKS, and as long as it takes.
        if pool.group is not None and not pool.group.copied:
            yield from _slow(pool)


def _cut(gang: Gang, placed: list[Pod], groups: tuple[str, ...]) -> Finding:
    nodes = gang.nodes
    where = (
        f"{len(nodes)} nodes of {_few(list(groups))}" if len(nodes) > 1 else f"node {nodes[0]}, {groups[0]}"
    )
    stops = (
        f"each of {len(nodes)} nodes that is replaced" if len(nodes) > 1 else "its node, once it is replaced,"
    )
    return Finding(
        check=CHECK,
        severity=Severity.WARN,
        what=_few([str(root) for root in gang.roots]),
        where=where,
        why=f"{len(placed)} pods run that need each other: {stops} ends all of it; {_saved(gang)}",
        fix=_fix(gang),
    )


def _saved(gang: Gang) -> str:
    """Any pod says it for all, or who made them."""
    said = [pod.metadata.annotations for pod in gang.pods] + [root.annotations for root in gang.roots]
    last_s = max((_time(one.get(LAST, "")) for one in said), default=-inf)
    asked = any(one.get(ON_REQUEST) == "true" for one in said)
    more = ", and it saves when it is asked" if asked else ""
    if last_s == -inf:
        return (
            "it saves when it is asked"
            if asked
            else "it tells of no checkpoint, so all that it did may be lost"
        )
    return f"what it did since its checkpoint of {datetime.fromtimestamp(last_s, UTC):%Y-%m-%d %H:%M UTC} is lost{more}"


def _time(text: str) -> float:
    try:
        return read(text)
    except ValueError:
        return -inf


def _fix(gang: Gang) -> str:
    stuck = [root for root in gang.roots if root.target is None]
    if stuck:
        return f"let it end first: it cannot be suspended ({_few([f'{root}: {root.why}' for root in stuck])})"
    commands = _few([_command(root) for root in gang.roots])
    away = "; whom it serves has nobody meanwhile" if gang.way is Way.SCALE else ""
    return f"suspend it before its nodes are replaced, all of them together, and resume it once{away}: {commands}"


def _command(root: Root) -> str:
    assert root.target is not None
    patch: object = _STOPS[root.way]
    for name in reversed(root.path):
        patch = {name: patch}
    meta = root.target.metadata
    return f"kubectl patch {root.target.resource.name} -n {meta.namespace} {meta.name} --type merge -p '{json.dumps(patch)}'"


def _slow(pool: Pool) -> Iterator[Finding]:
    by_owner: dict[str, list[Pod]] = defaultdict(list)
    for pod in pool.pods:
        if (pod.spec.termination_grace_period_seconds or 0) > _EKS_WAITS_S:
            owner = controller(pod.metadata)
            name = f"{owner.kind} {pod.metadata.namespace}/{owner.name}" if owner else ""
            by_owner[name or f"Pod {pod.metadata.namespace}/{pod.metadata.name}"].append(pod)
    for name, pods in sorted(by_owner.items()):
        longest = max(pod.spec.termination_grace_period_seconds or 0 for pod in pods)
        saves = any(pod.metadata.annotations.get(ON_REQUEST) == "true" for pod in pods)
        yield Finding(
            check=CHECK,
            # Who saves while it ends takes the time that it has.
            severity=Severity.BLOCK if saves else Severity.WARN,
            what=name,
            where=pool.name,
            why=f"its pods may take {longest // 60} min to end (terminationGracePeriodSeconds {longest}); EKS gives up after {_EKS_WAITS_S // 60} min, and leaves the group half done (PodEvictionFailure)",
            fix=f"let it end in less than {_EKS_WAITS_S // 60} min, or suspend it or let it end before the group is updated",
        )


def _few(names: list[str]) -> str:
    if len(names) <= _FEW:
        return ", ".join(names)
    return f"{', '.join(names[:_FEW])} and {len(names) - _FEW} more"
