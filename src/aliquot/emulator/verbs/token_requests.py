"""TokenRequest: a token of a ServiceAccount, for a time, bound to a Pod, Secret or Node if asked so."""

from collections.abc import Mapping
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.emulator import statuses
from aliquot.emulator.authentication.tokens import ISSUER, STORED_AS, BoundTo, ServiceAccountTokens
from aliquot.emulator.objects import Json, metadata, with_metadata
from aliquot.emulator.storage.storage import Storage
from aliquot.emulator.verbs.bodies import read_typed
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.writing import Writer

SHORTEST_S = 600
LONGEST_S = 1 << 32
_DEFAULT_S = 3600

EXTENDED_S = 24 * 365 * 3600
"""How long the token of a pod lives that was asked for MARKED_S, what projected volumes ask for by default: clients
that never read their token anew outlive the change from tokens without an end. The answer does not tell."""
MARKED_S = 3607


async def request_token(
    call: Call, storage: Storage, writer: Writer, tokens: ServiceAccountTokens | None, *, clock: Clock
) -> Json:
    """The TokenRequest with its token. Raises StatusError."""
    schema = storage.registry.schema("authentication.k8s.io", "v1", "TokenRequest")
    body = read_typed(call, schema)
    named = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
    request = with_metadata({**body, **named}, name=call.name, namespace=call.namespace)
    spec = request.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    seconds = _DEFAULT_S if seconds is None else int(seconds)
    audiences = list(spec.get("audiences") or ())
    request = {**request, "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds}}
    request = await writer.admit(call, request)
    _check_duration(call, seconds)
    account = storage.must_find(call.served, call.namespace, call.name)
    if tokens is None:
        raise statuses.internal("this server has no key for tokens")
    bound_to = _bound_to(call, storage, spec.get("boundObjectRef"))
    extended = (
        bound_to is not None
        and bound_to.kind == "Pod"
        and seconds == MARKED_S
        and audiences in ([], [ISSUER])
    )
    token = tokens.issue(
        call.namespace,
        call.name,
        metadata(account.obj)["uid"],
        expires_in_s=EXTENDED_S if extended else seconds,
        warns_after_s=seconds if extended else None,
        audiences=audiences,
        bound_to=bound_to,
    )
    now = int(clock.now())
    return {
        **with_metadata(request, creationTimestamp=rfc3339(now)),
        "spec": {
            "audiences": audiences or [ISSUER],
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {"token": token, "expirationTimestamp": rfc3339(now + seconds)},
    }


def _check_duration(call: Call, seconds: int) -> None:
    if seconds < SHORTEST_S:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > LONGEST_S:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return
    field, wrong = "spec.expirationSeconds", f"Invalid value: {seconds}: {why}"
    raise statuses.failure(
        422,
        "Invalid",
        f'TokenRequest.authentication.k8s.io "{call.name}" is invalid: {field}: {wrong}',
        {
            "name": call.name,
            "group": "authentication.k8s.io",
            "kind": "TokenRequest",
            "causes": [{"reason": "FieldValueInvalid", "message": wrong, "field": field}],
        },
    )


def _bound_to(call: Call, storage: Storage, reference: Mapping[str, Any] | None) -> BoundTo | None:
    if not reference:
        return None
    kind, name = reference.get("kind", ""), reference.get("name", "")
    if kind not in ("Pod", "Secret", "Node") or reference.get("apiVersion", "") not in ("", "v1"):
        group, _, version = reference.get("apiVersion", "").rpartition("/")
        raise statuses.bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    found = storage.get(STORED_AS[kind], "" if kind == "Node" else call.namespace, name)
    if found is None:
        message = f'{STORED_AS[kind]} "{name}" not found'
        raise statuses.failure(404, "NotFound", message, {"name": name, "kind": STORED_AS[kind]})
    if kind == "Pod" and (runs_as := found["spec"].get("serviceAccountName", "")) != call.name:
        raise statuses.bad_request(
            f'cannot bind token for serviceaccount "{call.name}" to pod running with serviceaccount "{runs_as}"'
        )
    if reference.get("uid") and reference["uid"] != metadata(found)["uid"]:
        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The object "
            "might have been deleted and then recreated"
        )
        message = f'Operation cannot be fulfilled on {kind} "{name}": {why}'
        raise statuses.failure(409, "Conflict", message, {"name": name, "kind": kind})
    return BoundTo(kind, name, metadata(found)["uid"], _node_of(storage, found) if kind == "Pod" else None)


def _node_of(storage: Storage, pod: Mapping[str, Any]) -> tuple[str, str] | None:
    name = pod["spec"].get("nodeName", "")
    node = storage.get(STORED_AS["Node"], "", name) if name else None
    return (name, metadata(node)["uid"]) if node is not None else None
