"""Pods as they are written: in manifests, in releases, in the workloads of a cluster, and those that nobody wrote a workload for."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from aliquot.eks.estate.objects import Meta, Objects, PodSpec
from aliquot.eks.preflight.fields import mapping, mappings
from aliquot.eks.sightings.sighting import Sighting, Trace

_PATHS: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"),
        ("spec", "template"),
    ),
}


class PodTemplate(Struct, frozen=True, kw_only=True):
    what: str
    where: str = ""
    file: str = ""
    line: int = 0
    owner: str = ""
    annotations: Mapping[str, Any]
    volumes: tuple[Mapping[str, Any], ...]
    images: tuple[str, ...]
    security: tuple[Mapping[str, Any], ...]
    """The pod's own context, and those of its containers."""


def written(sightings: tuple[Sighting, ...]) -> Iterator[PodTemplate]:
    """In files and releases. What was applied last to a cluster is there as an object, too."""
    for sighting in sightings:
        path = _PATHS.get(sighting.kind)
        if path is None or sighting.body is None or sighting.where.trace not in (Trace.FILE, Trace.HELM):
            continue
        part: Any = sighting.body
        for key in path:
            part = part.get(key) if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(part.get("spec"), dict):
            continue
        spec, metadata = part["spec"], part.get("metadata")
        containers = [*mappings(spec.get("containers")), *mappings(spec.get("initContainers"))]
        yield PodTemplate(
            what=sighting.object,
            where=str(sighting.where),
            file=sighting.where.file,
            line=sighting.where.line,
            owner=sighting.owner,
            annotations=mapping(mapping(metadata).get("annotations")),
            volumes=tuple(mappings(spec.get("volumes"))),
            images=tuple(str(one.get("image", "")) for one in containers),
            security=tuple(mapping(one.get("securityContext")) for one in (spec, *containers)),
        )


def running(objects: Objects) -> Iterator[PodTemplate]:
    """Workloads, and pods that are of none."""
    for kind, workloads in objects.workloads.items():
        for one in workloads:
            template = one.spec.template
            yield _typed(f"{kind} {_named(one.metadata)}", template.metadata, template.spec)
    for pod in objects.pods:
        if not any(owner.controller for owner in pod.metadata.owner_references):
            yield _typed(f"Pod {_named(pod.metadata)}", pod.metadata, pod.spec)


def _typed(what: str, meta: Meta, spec: PodSpec) -> PodTemplate:
    containers = [*spec.containers, *spec.init_containers]
    return PodTemplate(
        what=what,
        annotations=meta.annotations,
        volumes=tuple(spec.volumes),
        images=tuple(one.image for one in containers),
        security=(spec.security_context, *(one.security_context for one in containers)),
    )


def _named(meta: Meta) -> str:
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
