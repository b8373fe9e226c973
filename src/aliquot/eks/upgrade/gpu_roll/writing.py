"""The writes by which gangs stop and start. Each says all of it at once: nobody finds a job that is suspended and does not say by whom."""

from collections.abc import Iterable, Sequence
from typing import Any

from aliquot.clock import rfc3339
from aliquot.eks.estate.gangs import Gang, Root, Thing, at
from aliquot.eks.estate.job_kinds import ACTIVE, JOB_KINDS, WORKLOADS, Way
from aliquot.eks.estate.objects import Node, Pod
from aliquot.eks.upgrade.gpu_roll.marks import CORDONED_BY, REPLICAS_BEFORE, SUSPENDED_BY, SUSPENDED_FOR
from aliquot.eks.upgrade.verdicts import Verb, Write
from aliquot.kube.api.checkpoint import REQUESTED
from aliquot.kube.resources import NODES, PODS


def suspend(root: Root, run: str, places: Sequence[str]) -> Write:
    """Of a root that has a way. Of the object that was seen, and no other: somebody may suspend it at the same moment."""
    assert root.target is not None
    marks: dict[str, str | None] = {SUSPENDED_BY: run, SUSPENDED_FOR: ",".join(places)}
    value: Any = True
    if root.way is Way.KUEUE:
        value = False
    elif root.way is Way.SCALE:
        value = 0
        marks[REPLICAS_BEFORE] = str(1 if root.value is None else root.value)
    return _patch(root.target, marks, root.path, value)


def resume(thing: Thing) -> Write:
    """Of one with our mark. If somebody resumed it in between only the mark goes."""
    path, value = _before(thing)
    marks: dict[str, str | None] = dict.fromkeys((SUSPENDED_BY, SUSPENDED_FOR, REPLICAS_BEFORE, REQUESTED))
    if is_suspended(thing):
        return _patch(thing, marks, path, value)
    return _patch(thing, marks, (), None)


def is_suspended(thing: Thing) -> bool:
    path, value = _before(thing)
    now = at(thing.spec, path[1:])
    return bool(now == 0) if isinstance(value, int) and not isinstance(value, bool) else now is (not value)


def cordon(node: Node, run: str) -> Write:
    return _node(node, {"metadata": {"annotations": {CORDONED_BY: run}}, "spec": {"unschedulable": True}})


def uncordon(node: Node) -> Write:
    return _node(node, {"metadata": {"annotations": {CORDONED_BY: None}}, "spec": {"unschedulable": False}})


def ask(gang: Gang, pods: Iterable[Pod], asked_s: float) -> list[Write]:
    """For a checkpoint: pods see it through the downward API, and operators on what they work on."""
    body = {"metadata": {"annotations": {REQUESTED: rfc3339(asked_s)}}}
    whom = [(PODS, pod.metadata.namespace, pod.metadata.name) for pod in pods]
    whom += [
        (root.itself.resource, root.namespace, root.name) for root in gang.roots if root.itself is not None
    ]
    return [
        Write(verb=Verb.PATCH, resource=resource, name=name, namespace=namespace, body=body)
        for resource, namespace, name in whom
    ]


def _before(thing: Thing) -> tuple[tuple[str, ...], Any]:
    """The field, and what it was before it was suspended."""
    if (thing.resource.group, thing.resource.kind) == (WORKLOADS.group, WORKLOADS.kind):
        return ACTIVE, True
    kind = JOB_KINDS[thing.resource.group, thing.resource.kind]
    if kind.way is not Way.SCALE:
        return kind.path, False
    text = thing.metadata.annotations.get(REPLICAS_BEFORE, "")
    return kind.path, int(text) if text.isdecimal() else 1


def _patch(thing: Thing, marks: dict[str, str | None], path: tuple[str, ...], value: Any) -> Write:
    body: dict[str, Any] = {"metadata": {"annotations": marks, "resourceVersion": thing.resource_version}}
    inner = body
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    if path:
        inner[path[-1]] = value
    return Write(
        verb=Verb.PATCH,
        resource=thing.resource,
        name=thing.metadata.name,
        namespace=thing.metadata.namespace,
        body=body,
    )


def _node(node: Node, body: dict[str, Any]) -> Write:
    return Write(verb=Verb.PATCH, resource=NODES, name=node.metadata.name, body=body)
