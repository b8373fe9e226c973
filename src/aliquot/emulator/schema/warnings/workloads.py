"""Kinds that are pods or make them. An update is looked at when it changes what pods are made of."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.warnings import pods

Obj = Mapping[str, Any]

_MANY_COMPLETIONS, _MANY_AT_ONCE = 100_000, 10_000


def pod(obj: Obj, old: Obj | None) -> Iterator[str]:
    """Updates of pods are for programs, which read no warnings."""
    if old is None:
        yield from _name(obj, "the Pod's hostname")
        yield from pods.pod(obj)


def pod_template(obj: Obj, old: Obj | None) -> Iterator[str]:
    if old is None or _is_next_generation(obj, old):
        yield from pods.pod(obj.get("template") or {}, "template.")


def replicated(obj: Obj, old: Obj | None) -> Iterator[str]:
    """Deployments, ReplicaSets, ReplicationControllers."""
    if old is None:
        yield from _name(obj)
    if old is None or _is_next_generation(obj, old):
        yield from _template(obj["spec"])


def daemon_set(obj: Obj, old: Obj | None) -> Iterator[str]:
    if old is None or obj["spec"].get("template") != old["spec"].get("template"):
        yield from _template(obj["spec"])


def stateful_set(obj: Obj, old: Obj | None) -> Iterator[str]:
    spec = obj["spec"]
    if old is None or _is_next_generation(obj, old):
        yield from _template(spec)
    below = "" if old is None else ".Spec"
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from pods.claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}]{below}")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        yield (
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
        )


def job(obj: Obj, old: Obj | None) -> Iterator[str]:
    if old is None:
        yield from _name(obj)
    if old is None or _is_next_generation(obj, old):
        yield from _job_spec(obj["spec"], "spec")


def cron_job(obj: Obj, old: Obj | None) -> Iterator[str]:
    if old is None:
        yield from _name(obj)
    if old is None or _is_next_generation(obj, old):
        yield from _job_spec(obj["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec")
    if old is not None and "TZ" in obj["spec"]["schedule"]:
        yield (
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )


def _job_spec(spec: Obj, path: str) -> Iterator[str]:
    many = (spec.get("completions") or 0) > _MANY_COMPLETIONS and (
        spec.get("parallelism") or 0
    ) > _MANY_AT_ONCE
    if spec.get("completionMode") == "Indexed" and many:
        yield (
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
            "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    yield from _template(spec, path)


def _template(spec: Obj, path: str = "spec") -> list[str]:
    return pods.pod(spec.get("template") or {}, f"{path}.template.")


def _name(obj: Obj, use: str = "Pod names and hostnames") -> Iterator[str]:
    if problems := names.dns_label(obj["metadata"]["name"]):
        yield (
            f"metadata.name: this is used in {use}, which can result in surprising behavior; a DNS label is "
            f"recommended: [{' '.join(problems)}]"
        )


def _is_next_generation(obj: Obj, old: Obj) -> bool:
    found: bool = obj["metadata"].get("generation") != old["metadata"].get("generation")
    return found
