"""Workloads, group objects and pods as an API server gives them out, and jobs in a line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from aliquot.kube.api import podgroup
from aliquot.kube.api.core import Pod, PriorityClass
from aliquot.kube.api.meta import ObjectMeta
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping.doors import GroupObjects, coscheduling, kai, upstream, volcano
from aliquot.scheduler.grouping.membership import Membership, membership
from aliquot.scheduler.grouping.owners import OWNER_KINDS, Owner, Passed

T = TypeVar("T")
Json = dict[str, Any]

STAMP = "2026-01-01T00:00:00Z"
STAMP_S = 1_767_225_600.0


def stamped(text: str) -> Json:
    """A manifest as it comes back: with namespace, uid and time."""
    found: Json = yaml.safe_load(text)
    metadata = found["metadata"]
    found["metadata"] = {
        "namespace": "team-a",
        "uid": f"uid-{metadata['name']}",
        "creationTimestamp": STAMP,
        **metadata,
    }
    return found


def owner(text: str) -> Owner:
    obj = stamped(text)
    group, _, version = obj["apiVersion"].rpartition("/")
    kind = OWNER_KINDS.get((group, obj["kind"]))
    body = msgspec.convert(obj, kind.into if kind is not None else Passed)
    return Owner(group, version, obj["kind"], body.metadata, body if kind is not None else None)


def pod(
    name: str = "p",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Pod:
    metadata = {
        "name": name,
        "namespace": "team-a",
        "uid": f"uid-{name}",
        "creationTimestamp": STAMP,
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
    }
    return msgspec.convert({"metadata": metadata, "spec": spec}, Pod)


@dataclass
class Shelf(Generic[T]):
    """What the cluster has of one kind; closed: it does not know the kind."""

    into: type[T]
    objects: dict[str, T] = field(default_factory=dict)
    is_open: bool = False

    def put(self, text: str) -> None:
        obj = stamped(text)
        self.is_open = True
        self.objects[f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"] = msgspec.convert(
            obj, self.into
        )

    def get(self, key: str) -> T | None:
        return self.objects.get(key)

    def inside(self, key: str) -> Iterable[T]:
        found: list[T] = []
        for name, one in self.objects.items():
            assert isinstance(one, upstream.PodGroup)
            parent = one.spec.parent_composite_pod_group_name
            if parent and f"{name.partition('/')[0]}/{parent}" == key:
                found.append(one)
        return found


class Cluster:
    def __init__(self, *manifests: str, priorities: Mapping[str, int] | None = None) -> None:
        self.priority_classes = {
            name: PriorityClass(metadata=ObjectMeta(name=name), value=value)
            for name, value in (priorities or {}).items()
        }
        self.groups = GroupObjects(
            pod_groups=Shelf(podgroup.PodGroup),
            upstream_pod_groups=Shelf(upstream.PodGroup),
            composite_pod_groups=Shelf(upstream.PodGroup),
            coscheduling_pod_groups=Shelf(coscheduling.PodGroup),
            kai_pod_groups=Shelf(kai.PodGroup),
            volcano_pod_groups=Shelf(volcano.PodGroup),
        )
        self._shelves: dict[tuple[str, str], Any] = {
            ("aliquot.dev", "PodGroup"): self.groups.pod_groups,
            ("scheduling.k8s.io", "PodGroup"): self.groups.upstream_pod_groups,
            ("scheduling.k8s.io", "CompositePodGroup"): self.groups.composite_pod_groups,
            ("scheduling.x-k8s.io", "PodGroup"): self.groups.coscheduling_pod_groups,
            ("scheduling.run.ai", "PodGroup"): self.groups.kai_pod_groups,
            ("scheduling.volcano.sh", "PodGroup"): self.groups.volcano_pod_groups,
        }
        for text in manifests:
            self.put(text)

    def put(self, text: str) -> None:
        obj = yaml.safe_load(text)
        self._shelves[obj["apiVersion"].partition("/")[0], obj["kind"]].put(text)

    def open(self, group: str, kind: str = "PodGroup") -> None:
        self._shelves[group, kind].is_open = True

    def membership(self, pod: Pod, *owners: Owner) -> Membership:
        """`owners` from the pod's up."""
        found = membership(pod, lambda: owners, self.groups, self.priority_classes.get)
        root = found.job.root
        assert found.leaf in ({""} if root is None else {leaf.name for leaf in root.leaves})
        return found


def shown(group: Group | None) -> str:
    """`4` for a leaf that needs four pods, `2[launcher:1 worker:8]` for two such that are both needed; `alone` for a pod that is
    a job of its own."""
    if group is None:
        return "alone"
    if not group.groups:
        return str(group.minimum)
    return f"{group.minimum}[{' '.join(f'{one.name}:{shown(one)}' for one in group.groups)}]"


def refusal(found: Membership) -> str:
    return found.job.refusal.detail if found.job.refusal is not None else ""
