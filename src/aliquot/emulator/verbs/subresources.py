"""What can be done with one object beside reading and writing it: bind, evict, scale, log."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from aliquot.clock import Clock, parse_rfc3339, rfc3339
from aliquot.emulator import statuses
from aliquot.emulator.http.request import Query
from aliquot.emulator.objects import Json, is_terminating, metadata, with_metadata
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.json_patch import apply_json_patch
from aliquot.emulator.patching.merge import apply_merge_patch
from aliquot.emulator.registry import PODS
from aliquot.emulator.schema.errors import (
    FieldError,
    forbidden,
    invalid,
    invalid_status,
    not_supported,
    required,
)
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.storage import Storage, Stored
from aliquot.emulator.verbs import eviction as evictions
from aliquot.emulator.verbs import scale
from aliquot.emulator.verbs.bodies import read_typed, read_yaml, typed
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.deletion import Deleter
from aliquot.emulator.verbs.patches import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from aliquot.emulator.verbs.writing import Part, Writer

# ---- binding -----------------------------------------------------------------------------------------------


async def bind(call: Call, storage: Storage, writer: Writer, *, clock: Clock) -> dict[str, Any]:
    """Puts a pod on a node, with the annotations that the Binding carries, once. Raises StatusError.

    A Binding is sent to the pod, or to all bindings, where it says itself which pod it is for.
    """
    binding = await writer.admit(call, _body(call, storage, "", "Binding"))
    if not call.name:
        call = _to_the_pod(call, storage, metadata(binding).get("name"))
    target, wanted = binding.get("target") or {}, metadata(binding)
    if wanted.get("name") != call.name:
        raise statuses.bad_request("name in URL does not match name in Binding object")
    errors = []
    if target.get("kind", "Node") not in ("", "Node", "Minion"):
        errors.append(not_supported("target.kind", target["kind"], ["Node", "<empty>"]))
    if not target.get("name"):
        errors.append(required("target.name"))
    if errors:
        raise statuses.invalid(call.served.resource, call.name, errors)
    old = storage.must_find(call.served, call.namespace, call.name)
    pod, spec = old.obj, old.obj["spec"]

    def refuse(why: str) -> StatusError:
        return statuses.conflict(call.served.resource, call.name, why, subresource="binding")

    for what, field in (("UID", "uid"), ("ResourceVersion", "resourceVersion")):
        if wanted.get(field) and wanted[field] != metadata(pod)[field]:
            raise refuse(
                f"Precondition failed: {what} in precondition: {wanted[field]}, {what} in object meta: "
                f"{metadata(pod)[field]}"
            )
    if is_terminating(pod):
        raise refuse(f"pod {call.name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise refuse(f'pod {call.name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise refuse(f"pod {call.name} has non-empty .spec.schedulingGates")
    bound: Json = {**pod, "spec": {**spec, "nodeName": target["name"]}}
    if wanted.get("annotations"):
        both = {**(metadata(pod).get("annotations") or {}), **wanted["annotations"]}
        bound = with_metadata(bound, annotations=both)
    bound["status"] = _scheduled(pod.get("status") or {}, rfc3339(clock.now()))
    await writer.set_directly(call, old, bound)
    return statuses.success(201)


def _to_the_pod(call: Call, storage: Storage, name: str | None) -> Call:
    if not name:
        raise statuses.bad_request("Name parameter required.")
    pods = storage.registry.find("", "v1", PODS)
    assert pods is not None
    request = replace(call.request, plural=PODS, name=name, subresource="binding")
    return replace(call, request=request, served=pods)


def _scheduled(status: Json, now: str) -> Json:
    others = [one for one in status.get("conditions") or () if one.get("type") != "PodScheduled"]
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    return {**status, "conditions": [*others, condition]}


# ---- eviction ----------------------------------------------------------------------------------------------


async def evict(
    call: Call, storage: Storage, writer: Writer, deleter: Deleter, *, clock: Clock
) -> dict[str, Any]:
    """Deletes a pod as its disruption budget and its grace period allow. Raises StatusError."""
    sent = _body(call, storage, "policy", "Eviction", older=("policy/v1beta1",))
    eviction = await writer.admit(call, sent)
    return await evictions.evict(call, storage, deleter, eviction, clock=clock)


# ---- scale -------------------------------------------------------------------------------------------------


async def set_scale(call: Call, storage: Storage, writer: Writer) -> Json:
    """Update or patch; answers the Scale. Raises StatusError."""
    schema = storage.registry.schema("autoscaling", "v1", "Scale")
    sent = None if call.request.method == "PATCH" else read_typed(call, schema)

    def wanted(now: Json) -> Json:
        asked = typed(_patched_scale(call, now), schema) if sent is None else sent
        seen = metadata(asked).get("resourceVersion")
        if seen not in (None, "", metadata(now)["resourceVersion"]):
            raise statuses.conflict(call.served.resource, call.name)
        return {**asked, "kind": schema.kind, "apiVersion": "autoscaling/v1"}

    part = Part(
        read=lambda obj: scale.read(call.served, obj, must_say=False),
        write=lambda obj, asked: scale.write(call.served, obj, asked, call.name),
    )
    written = await writer.change_part(call, part, wanted)
    return scale.read(call.served, written.obj)


def _patched_scale(call: Call, now: Json) -> Any:
    """A Scale has no lists: its strategic merge patch is a merge patch, and an apply is one that owns nothing."""
    kinds = {
        JSON_PATCH: apply_json_patch,
        MERGE_PATCH: apply_merge_patch,
        STRATEGIC_PATCH: apply_merge_patch,
        APPLY_PATCH: apply_merge_patch,
    }
    if call.content_type not in kinds:
        raise statuses.unsupported_media_type(list(kinds))
    try:
        return kinds[call.content_type](now, read_yaml(call.body).value)
    except PatchError as error:
        raise statuses.failure(error.code, error.reason, error.message, error.details) from error


# ---- log ---------------------------------------------------------------------------------------------------


class LogsUnavailable(Exception):
    """The kubelet has no such log, or cannot be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What `kubectl logs` asks of the kubelet. Times in Unix seconds."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: float | None = None


Logs: TypeAlias = Callable[[Mapping[str, Any], LogOptions], AsyncIterator[bytes]]
"""Asks the kubelet of a pod's node for a container's log. Raises LogsUnavailable, at the first read at the latest."""


def find_log(call: Call, storage: Storage, *, clock: Clock) -> tuple[Stored, LogOptions]:
    """The pod, and which log of it. Raises StatusError."""
    query = call.request.query
    since = _since(query, clock.now())
    tail_lines, limit_bytes = query.number("tailLines"), query.number("limitBytes")
    if errors := list(_log_problems(query)):
        raise StatusError(invalid_status("", "PodLogOptions", call.name, errors))
    pod = storage.must_find(call.served, call.namespace, call.name)
    return pod, LogOptions(
        choose_container(call, pod.obj),
        follow=query.flag("follow"),
        previous=query.flag("previous"),
        timestamps=query.flag("timestamps"),
        tail_lines=tail_lines,
        limit_bytes=limit_bytes,
        since=since,
    )


def _log_problems(query: Query) -> Iterator[FieldError]:
    since_s = query.number("sinceSeconds")
    for name, least in (("tailLines", 0), ("limitBytes", 1)):
        number = query.number(name)
        if number is not None and number < least:
            wrong = "must be greater than 0" if least else "must be greater than or equal to 0"
            yield invalid(name, number, wrong)
    if since_s is not None and query.text("sinceTime"):
        yield forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified")
    elif since_s is not None and since_s < 1:
        yield invalid("sinceSeconds", since_s, "must be greater than 0")
    if query.has("stream"):
        yield forbidden("stream", "may not be specified")


def choose_container(call: Call, pod: Json) -> str:
    """The one that is named, or the only one. Raises StatusError."""
    spec = pod.get("spec") or {}
    names = [one["name"] for one in spec.get("containers") or ()]
    initial = [one["name"] for one in spec.get("initContainers") or ()]
    ephemeral = [one["name"] for one in spec.get("ephemeralContainers") or ()]
    container = call.request.query.text("container")
    if not container:
        if len(names) > 1 or initial:
            also = f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
            raise statuses.bad_request(
                f"a container name must be specified for pod {call.name}, choose one of: [{' '.join(names)}]{also}"
            )
        return str(names[0])
    if container not in (*names, *initial, *ephemeral):
        raise statuses.bad_request(f"container {container} is not valid for pod {call.name}")
    return container


def _since(query: Query, now: float) -> float | None:
    seconds = query.number("sinceSeconds")
    if seconds is not None:
        return now - seconds
    if not query.text("sinceTime"):
        return None
    try:
        return parse_rfc3339(query.text("sinceTime"))
    except ValueError as error:
        text = query.text("sinceTime")
        layout = "2006-01-02T15:04:05Z07:00"
        raise statuses.bad_request(
            f'parsing time "{text}" as "{layout}": cannot parse "{text}" as "2006"'
        ) from error


def _body(call: Call, storage: Storage, group: str, kind: str, *, older: Collection[str] = ()) -> Json:
    schema = storage.registry.schema(group, "v1", kind)
    body = read_typed(call, schema, older=older)
    if metadata(body).get("namespace") not in (None, "", call.namespace):
        raise statuses.other_namespace()
    return with_metadata(
        {**body, "kind": kind, "apiVersion": schema.api_version}, namespace=call.namespace or None
    )
