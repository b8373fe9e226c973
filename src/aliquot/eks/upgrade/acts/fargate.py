"""Pods on Fargate keep the kubelet that they were made with: their workloads are rolled, one after the other."""

from datetime import UTC, datetime

from msgspec import Struct

from aliquot.eks.estate.objects import Node, Pod
from aliquot.eks.estate.places import COMPUTE_LABEL, FARGATE
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verb, Verdict, Wait, Write, Writes
from aliquot.eks.versions.minor import Minor
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import DAEMONSETS, DEPLOYMENTS, NODES, PODS, REPLICASETS, STATEFULSETS, Resource

_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_LOOK_S = 20.0
_MOST_S = 1800.0
_ROLLED = {one.kind: one for one in (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)}


class FargateRestart(Struct, frozen=True, tag="fargate"):
    minor: Minor


class Behind(Struct, frozen=True, kw_only=True):
    """A workload with pods on kubelets of the minor before."""

    kind: str
    """Empty: nobody makes its pod anew."""
    namespace: str
    name: str
    restarted: str = ""


class Seen(Struct, frozen=True):
    behind: tuple[Behind, ...]


async def look(act: FargateRestart, doors: Doors) -> Seen:
    kube = doors.kube
    nodes = await kube.list(NODES, into=Node, label_selector=f"{COMPUTE_LABEL}={FARGATE}")
    old = {
        one.metadata.name
        for one in nodes.items
        if _is_behind(one.status.node_info.kubelet_version, act.minor)
    }
    if not old:
        return Seen(())
    behind: dict[tuple[str, str, str], Behind] = {}
    for pod in (await kube.list(PODS, into=Pod)).items:
        if pod.spec.node_name in old:
            kind, name = await _owner(doors, pod)
            key = (kind, pod.metadata.namespace, name)
            if key not in behind:
                behind[key] = await _behind(doors, *key)
    return Seen(tuple(behind[key] for key in sorted(behind)))


def _is_behind(kubelet: str, minor: Minor) -> bool:
    """A node that has not told of its kubelet yet is a new one."""
    try:
        return Minor.parse(kubelet) < minor
    except ValueError:
        return False


async def _owner(doors: Doors, pod: Pod) -> tuple[str, str]:
    for owner in pod.metadata.owner_references:
        if owner.kind in _ROLLED:
            return owner.kind, owner.name
        if owner.kind == REPLICASETS.kind:
            try:
                told = await doors.kube.get(REPLICASETS, owner.name, pod.metadata.namespace)
            except NotFound:
                continue
            for above in told["metadata"].get("ownerReferences", ()):
                if above.get("kind") in _ROLLED:
                    return above["kind"], above["name"]
    return "", pod.metadata.name


async def _behind(doors: Doors, kind: str, namespace: str, name: str) -> Behind:
    restarted = ""
    if kind:
        try:
            told = await doors.kube.get(_ROLLED[kind], name, namespace)
        except NotFound:
            # It went meanwhile, and its pods go with it.
            return Behind(kind="", namespace=namespace, name=name)
        template = told.get("spec", {}).get("template", {}).get("metadata", {})
        restarted = template.get("annotations", {}).get(_RESTARTED, "")
    return Behind(kind=kind, namespace=namespace, name=name, restarted=restarted)


def judged(act: FargateRestart, seen: Seen, attempt: Attempt) -> Verdict:
    began = datetime.fromtimestamp(attempt.began_s, UTC).isoformat()
    rolled = [one for one in seen.behind if one.kind]
    waiting = [one for one in rolled if one.restarted == began]
    if waiting:
        names = ", ".join(f"{one.kind} {one.namespace}/{one.name}" for one in waiting)
        if attempt.now_s - attempt.began_s > _MOST_S:
            return Hold(
                f"on Fargate there are still pods of old kubelets: {names}", "see why they stay, then retry"
            )
        return Wait(_LOOK_S, f"rolling {names}")
    if rolled:
        one = rolled[0]
        template = {"metadata": {"annotations": {_RESTARTED: began}}}
        return Writes((_patch(_ROLLED[one.kind], one, {"spec": {"template": template}}),))
    alone = ", ".join(f"{one.namespace}/{one.name}" for one in seen.behind)
    return Done(
        f"on Fargate; nobody makes these pods anew, so they stay as they are: {alone}"
        if alone
        else "on Fargate nothing is behind"
    )


def _patch(resource: Resource, one: Behind, body: dict[str, object]) -> Write:
    return Write(verb=Verb.PATCH, resource=resource, name=one.name, namespace=one.namespace, body=body)


DOING = Doing(look=look, judge=judged)
