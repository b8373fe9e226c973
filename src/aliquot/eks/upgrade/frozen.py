"""What else changes a cluster by itself, and how each is told to stand still and to go on. Pure.

An object that stands still has our mark, with what was so before. Whoever wrote the same without our mark meant it: that stays.
"""

import json
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from aliquot.eks.estate.karpenter import NODEPOOLS
from aliquot.eks.upgrade.verdicts import Verb, Write
from aliquot.kube.resources import NODES, Resource

MARK = "aliquot.dev/frozen-by"
WAS = "aliquot.dev/frozen-was"

ARGO = Resource("argoproj.io", "v1alpha1", "applications", "Application")
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization")
RELEASES = Resource("helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease")
CLUSTERPOLICIES = Resource("nvidia.com", "v1", "clusterpolicies", "ClusterPolicy", namespaced=False)

_ARGO_SKIP = "argocd.argoproj.io/skip-reconcile"
_NO_SCALE_DOWN = "cluster-autoscaler.kubernetes.io/scale-down-disabled"


class Way(Struct, frozen=True, kw_only=True):
    """One kind of object, and where in it the switch is."""

    resource: Resource
    path: tuple[str, ...]
    still: Any
    """The value of one that stands still."""
    why: str


WAYS = (
    Way(
        resource=ARGO,
        path=("metadata", "annotations", _ARGO_SKIP),
        still="true",
        why="Argo CD would put back what the upgrade changes",
    ),
    Way(
        resource=KUSTOMIZATIONS,
        path=("spec", "suspend"),
        still=True,
        why="Flux would put back what the upgrade changes",
    ),
    Way(
        resource=RELEASES,
        path=("spec", "suspend"),
        still=True,
        why="Flux would put back what the upgrade changes",
    ),
    Way(
        resource=NODEPOOLS,
        path=("spec", "disruption", "budgets"),
        still=[{"nodes": "0"}],
        why="Karpenter would replace nodes on its own",
    ),
    Way(
        resource=CLUSTERPOLICIES,
        path=("spec", "driver", "upgradePolicy", "autoUpgrade"),
        still=False,
        why="the GPU operator would upgrade drivers meanwhile",
    ),
    Way(
        resource=NODES,
        path=("metadata", "annotations", _NO_SCALE_DOWN),
        still="true",
        why="the cluster autoscaler would take nodes away",
    ),
)
"""In this order: who puts things back is told first. Back in the other order."""


class Thing(Struct, frozen=True, kw_only=True):
    """An object with such a switch, as it is."""

    way: int
    """Its place in `WAYS`."""
    namespace: str
    name: str
    version: str
    """Its resourceVersion."""
    value: Any
    by: str
    """Our mark: the run; empty: none of ours."""
    was: str

    @property
    def still(self) -> bool:
        return bool(self.value == WAYS[self.way].still)


def thing(way: int, obj: dict[str, Any]) -> Thing:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    value: Any = obj
    for key in WAYS[way].path:
        value = value.get(key) if isinstance(value, dict) else None
    return Thing(
        way=way,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        version=metadata.get("resourceVersion", ""),
        value=value,
        by=annotations.get(MARK, ""),
        was=annotations.get(WAS, ""),
    )


def freeze(one: Thing, run: str) -> Write | None:
    """None: it stands still already."""
    if one.still:
        return None
    way = WAYS[one.way]
    return _write(one, way.still, {MARK: run, WAS: json.dumps(one.value)})


def thaw(one: Thing, run: str) -> Write | None:
    """None: it has not our mark."""
    if one.by != run:
        return None
    was = json.loads(one.was) if one.was else None
    # Somebody set it otherwise meanwhile: theirs counts, and only the mark goes.
    value = was if one.still else one.value
    return _write(one, value, {MARK: None, WAS: None})


def _write(one: Thing, value: Any, marks: dict[str, str | None]) -> Write:
    way = WAYS[one.way]
    body: dict[str, Any] = {"metadata": {"annotations": dict(marks), "resourceVersion": one.version}}
    at = body
    for key in way.path[:-1]:
        at = at.setdefault(key, {})
    at[way.path[-1]] = value
    return Write(verb=Verb.PATCH, resource=way.resource, name=one.name, namespace=one.namespace, body=body)


def writes(
    things: list[Thing], run: str, rule: Callable[[Thing, str], Write | None], *, backwards: bool = False
) -> tuple[Write, ...]:
    ordered = sorted(things, key=lambda one: (-one.way if backwards else one.way, one.namespace, one.name))
    return tuple(write for one in ordered if (write := rule(one, run)) is not None)
