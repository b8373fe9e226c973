"""The cells of the kinds that make pods, and of those that look after them."""

from collections.abc import Mapping
from typing import Any

from aliquot.clock import parse_rfc3339
from aliquot.emulator.tables import parts
from aliquot.emulator.tables.durations import human, since
from aliquot.emulator.tables.parts import Cells, Object


def _deployment(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    return [
        parts.name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        parts.age(obj, now),
        *parts.containers(spec.get("template")),
        parts.selector(spec.get("selector")),
    ]


def _replica_set(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    return [
        parts.name(obj),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        parts.age(obj, now),
        *parts.containers(spec.get("template")),
        parts.selector(spec.get("selector")),
    ]


def _replication_controller(obj: Object, now: float) -> list[Any]:
    return [*_replica_set(obj, now)[:-1], parts.format_labels(parts.part(obj, "spec").get("selector"))]


def _pod_template(obj: Object, now: float) -> list[Any]:
    template = parts.part(obj, "template")
    return [
        parts.name(obj),
        *parts.containers(template),
        parts.format_labels(parts.part(template, "metadata").get("labels")),
    ]


def _stateful_set(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    return [
        parts.name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        parts.age(obj, now),
        *parts.containers(spec.get("template")),
    ]


def _daemon_set(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    template = parts.part(spec, "template")
    return [
        parts.name(obj),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        parts.format_labels(parts.part(template, "spec").get("nodeSelector")),
        parts.age(obj, now),
        *parts.containers(template),
        parts.selector(spec.get("selector")),
    ]


def _controller_revision(obj: Object, now: float) -> list[Any]:
    owners = obj["metadata"].get("ownerReferences") or ()
    owner = next((one for one in owners if one.get("controller")), None)
    controller = parts.NONE
    if owner is not None:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = owner["kind"].lower()
        controller = f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return [parts.name(obj), controller, obj.get("revision", 0), parts.age(obj, now)]


def _job(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism", 0)
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    else:
        completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    return [
        parts.name(obj),
        _job_state(obj),
        completions,
        _job_duration(status, now),
        parts.age(obj, now),
        *parts.containers(spec.get("template")),
        parts.selector(spec.get("selector")),
    ]


def _job_state(job: Object) -> str:
    for condition, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if parts.condition(job, condition) == "True":
            return word
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for condition in ("Suspended", "FailureTarget"):
        if parts.condition(job, condition) == "True":
            return condition
    return "Running"


def _job_duration(status: Object, now: float) -> str:
    started, ended = status.get("startTime"), status.get("completionTime")
    if not started:
        return ""
    if not ended:
        return since(started, now)
    return human(parse_rfc3339(ended) - parse_rfc3339(started))


def _cron_job(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    last = status.get("lastScheduleTime")
    return [
        parts.name(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or parts.NONE,
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        since(last, now) if last else parts.NONE,
        parts.age(obj, now),
        *parts.containers(parts.part(parts.part(parts.part(spec, "jobTemplate"), "spec"), "template")),
        parts.selector(parts.part(parts.part(spec, "jobTemplate"), "spec").get("selector")),
    ]


def _pod_disruption_budget(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    limits = [str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable")]
    return [
        parts.name(obj),
        *limits,
        parts.part(obj, "status").get("disruptionsAllowed", 0),
        parts.age(obj, now),
    ]


CELLS: Mapping[str, Cells] = {
    "v1/podtemplates": _pod_template,
    "v1/replicationcontrollers": _replication_controller,
    "apps/v1/controllerrevisions": _controller_revision,
    "apps/v1/daemonsets": _daemon_set,
    "apps/v1/deployments": _deployment,
    "apps/v1/replicasets": _replica_set,
    "apps/v1/statefulsets": _stateful_set,
    "batch/v1/cronjobs": _cron_job,
    "batch/v1/jobs": _job,
    "policy/v1/poddisruptionbudgets": _pod_disruption_budget,
}
