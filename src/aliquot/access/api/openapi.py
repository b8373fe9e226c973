"""The API as an OpenAPI document, made of the structs and patterns that it reads and writes by."""

import re
from collections.abc import Mapping
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from aliquot import __version__
from aliquot.access.api import problems
from aliquot.access.api.asking import FILTERS, PARAMETER, SIMULATED
from aliquot.access.api.auditing import FILTERS as AUDIT_FILTERS
from aliquot.access.api.deciding import ApproveBody, DenyBody, ExtendBody, JudgeBody, RevokeBody
from aliquot.access.api.door import CLUSTER_HEADER, PROOF_HEADER, Reachable
from aliquot.access.api.exporting import PAGE
from aliquot.access.api.overseeing import ENTRY, PERSONAL, SEEN, ClearBody, PullBody
from aliquot.access.api.reporting import CSV, LINES, PERIOD
from aliquot.access.api.signing_in import (
    ByCodeBody,
    ByPasskeyBody,
    CodesBody,
    InvitedBody,
    PasskeyBody,
    ProofBody,
    UserBody,
)
from aliquot.access.audit.findings import Finding
from aliquot.access.audit.intake import Taken as AuditTaken
from aliquot.access.audit.use import GrantUse
from aliquot.access.broker.outage import InOutage
from aliquot.access.core.asked import AskBody
from aliquot.access.core.foreseeing import Foreseen
from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.life import Life
from aliquot.access.core.requests import ID_PATTERN
from aliquot.access.core.templates.template import Template
from aliquot.access.identity.local.codes import Offer
from aliquot.access.identity.local.passkeys import Options
from aliquot.access.log.exports.forms import MEDIA_TYPES, Form
from aliquot.access.reports.document import Head
from aliquot.access.tickets.incoming.contents import Body as DeliveryBody

_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_MOMENT = {"type": "string", "format": "date-time"}


class Operation(Struct, frozen=True, kw_only=True):
    method: str
    path: str
    summary: str
    body: type[Struct] | None = None
    takes: str = ""
    """A schema's name, of what others' systems send."""
    query: Mapping[str, re.Pattern[str]] = {}
    required: tuple[str, ...] = ()
    """Of the query."""
    answer: str = "Request"
    """A schema's name, or media types, with blanks between them; empty: there is nothing to say."""
    status: int = 200
    again: int = 0
    """Where there was nothing to be done any more."""
    open: bool = False
    """It takes no token: who calls has none yet, or proves it by what they send."""
    cached: bool = False
    """It takes If-None-Match."""
    proven: bool = False
    """It takes a fresh proof."""
    keyed: bool = False
    """It takes an Idempotency-Key."""
    versioned: bool = False
    """It takes If-Match."""
    ends: bool = False
    """It is done without the database, too."""


def _act(
    path: str, summary: str, body: type[Struct] | None = None, *, proven: bool = False, ends: bool = False
) -> Operation:
    return Operation(
        method="post", path=path, summary=summary, body=body, versioned=True, proven=proven, ends=ends
    )


def _sign_in(path: str, summary: str, body: type[Struct], answer: str, status: int = 200) -> Operation:
    return Operation(
        method="post", path=path, summary=summary, body=body, answer=answer, status=status, open=True
    )


OPERATIONS = (
    Operation(method="get", path="/healthz", summary="Whether it is there.", answer="text/plain", open=True),
    Operation(method="get", path="/openapi.json", summary="This document.", answer="Document", open=True),
    Operation(
        method="post",
        path="/v1/requests",
        summary="Ask for access.",
        body=AskBody,
        status=201,
        keyed=True,
        proven=True,
    ),
    Operation(
        method="get",
        path="/v1/requests",
        summary="Requests and grants that the caller may see, the latest first.",
        query=FILTERS,
        answer="Requests",
    ),
    Operation(method="get", path="/v1/requests/{id}", summary="One request.", cached=True),
    Operation(
        method="put",
        path="/v1/requests/{id}",
        summary="Ask for access under an id of the caller's: a new one, or the same again, which changes nothing.",
        body=AskBody,
        status=201,
        again=200,
        proven=True,
        cached=True,
        versioned=True,
    ),
    Operation(
        method="delete",
        path="/v1/requests/{id}",
        summary="Withdraw or return it, whichever there is to do.",
        versioned=True,
    ),
    _act("/v1/requests/{id}:approve", "Agree to a request.", ApproveBody, proven=True),
    _act("/v1/requests/{id}:deny", "Say no to a request.", DenyBody),
    _act("/v1/requests/{id}:withdraw", "Take back what the caller asked for."),
    _act("/v1/requests/{id}:activate", "Begin."),
    _act("/v1/grants/{id}:return", "Give a grant back.", ends=True),
    _act("/v1/grants/{id}:revoke", "End a grant now.", RevokeBody, ends=True),
    Operation(
        method="post",
        path="/v1/grants/{id}:extend",
        summary="Ask for a grant to last longer.",
        body=ExtendBody,
        status=201,
        keyed=True,
        proven=True,
    ),
    Operation(
        method="post",
        path="/v1/grants/{id}:credential",
        summary="A credential for a grant of the caller's.",
        answer="Credential",
    ),
    _act("/v1/reviews/{id}", "Judge a grant that is over.", JudgeBody),
    Operation(method="get", path="/v1/killswitch", summary="The kill switch.", answer="KillSwitch"),
    Operation(
        method="post",
        path="/v1/killswitch:pull",
        summary="End all access now.",
        body=PullBody,
        answer="KillSwitch",
        keyed=True,
        ends=True,
    ),
    Operation(
        method="post",
        path="/v1/killswitch:clear",
        summary="Agree to let people in again; it takes two.",
        body=ClearBody,
        answer="KillSwitch",
    ),
    Operation(method="get", path="/v1/templates", summary="What may be asked for.", answer="Templates"),
    Operation(
        method="get",
        path="/v1/simulate",
        summary="What a request of the caller's would come to. Names that a template leaves open: "
        f"{PARAMETER}NAME=VALUE.",
        query=SIMULATED,
        required=("template", "cluster"),
        answer="Foreseen",
    ),
    Operation(
        method="get", path="/v1/clusters/{name}", summary="Where a cluster's API server is.", answer="Cluster"
    ),
    Operation(
        method="get", path="/v1/log/checkpoint", summary="The log's head, signed.", answer="text/plain"
    ),
    Operation(
        method="get",
        path="/v1/log/proof",
        summary="That an entry is in the log (c2sp.org/tlog-proof).",
        query=ENTRY,
        required=("entry",),
        answer="text/plain",
    ),
    Operation(
        method="get",
        path="/v1/log/consistency",
        summary="That the log goes on from the first entries (c2sp.org/tlog-witness).",
        query=SEEN,
        required=("from",),
        answer="text/plain",
    ),
    Operation(
        method="get",
        path="/v1/log/entries",
        summary="The log for other systems, the oldest entries first. Link: rel=next is there where there is more.",
        query=PAGE,
        answer=f"{MEDIA_TYPES[Form.CLOUDEVENTS]} {MEDIA_TYPES[Form.OCSF]} {MEDIA_TYPES[Form.CSV]}",
    ),
    Operation(
        method="get",
        path="/v1/log/dump",
        summary="The log, for `aliquot access log verify`.",
        query=PERSONAL,
        answer="application/jsonl",
    ),
    Operation(
        method="get",
        path="/v1/reports/{name}",
        summary="A report for auditors, of a period. Accept: text/csv gives tables, application/jsonl a row on each line.",
        query=PERIOD,
        required=("from",),
        answer=f"Report {CSV} {LINES}",
    ),
    Operation(
        method="post",
        path="/v1/hooks/{name}",
        summary="What a ticket system sends, signed as the hook is configured.",
        takes="Delivery",
        answer="Taken",
        open=True,
    ),
    Operation(
        method="get",
        path="/v1/grants/{id}/use",
        summary="What a grant was used for, as the cluster's audit log has it.",
        answer="GrantUse",
    ),
    Operation(
        method="get",
        path="/v1/audit/findings",
        summary="What audit logs show and no grant explains, the latest first.",
        query=AUDIT_FILTERS,
        answer="Findings",
    ),
    Operation(
        method="post",
        path="/v1/audit/{name}",
        summary="What a cluster's API server sends of its audit log, with that cluster's token.",
        takes="EventList",
        answer="AuditTaken",
    ),
    _sign_in("/v1/session:options", "A challenge for a passkey, to sign in by.", UserBody, "Options"),
    _sign_in("/v1/session:byPasskey", "Sign in by a passkey.", ByPasskeyBody, "Session", 201),
    _sign_in("/v1/session:byCode", "Sign in by a code of an app.", ByCodeBody, "Session", 201),
    Operation(
        method="post",
        path="/v1/session:close",
        summary="Sign out: of the token's session.",
        answer="",
        status=204,
    ),
    Operation(
        method="post",
        path="/v1/proof:options",
        summary="A challenge for a passkey, to prove who one is for one act on one digest.",
        body=ProofBody,
        answer="Options",
    ),
    _sign_in("/v1/enrolment/passkey:options", "What makes a passkey.", InvitedBody, "Options"),
    _sign_in("/v1/enrolment/passkey", "Register a passkey.", PasskeyBody, "", 204),
    _sign_in("/v1/enrolment/codes:options", "What an app makes codes of.", InvitedBody, "Offer"),
    _sign_in("/v1/enrolment/codes", "Register an app, by its first code.", CodesBody, "", 204),
)
"""Signing in and enrolling is there where there are users of the server's own, hooks where some are configured."""


def document() -> dict[str, Any]:
    bodies = tuple(dict.fromkeys(one.body for one in OPERATIONS if one.body is not None))
    (*_, deliveries), made = msgspec.json.schema_components(
        (*bodies, Template, Reachable, Options, Offer, Head, DeliveryBody),
        ref_template="#/components/schemas/{name}",
    )
    paths: dict[str, Any] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Aliquot break glass", "version": __version__},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"With {CLUSTER_HEADER}, the cluster whose API server knows it, where a cluster says who one is.",
                }
            },
            "schemas": {**made, **_answers(), "Delivery": _delivery(deliveries)},
        },
    }


def spelled(kind: Any) -> dict[str, Any]:
    """The schema of what `core.spelling.spell` writes of a type."""
    if get_origin(kind) in (Union, UnionType):
        (some,) = (one for one in get_args(kind) if one is not type(None))
        return {"anyOf": [spelled(some), {"type": "null"}]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": spelled(get_args(kind)[0])}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": spelled(get_args(kind)[1])}
    if isinstance(kind, type) and issubclass(kind, Struct):
        fields = dict(_field(one.encode_name, one.type) for one in msgspec.structs.fields(kind))
        return _object(fields)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [one.value for one in kind]}
    kind = getattr(kind, "__supertype__", kind)
    plain = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return {"type": plain[kind]}


def _field(name: str, kind: Any) -> tuple[str, dict[str, Any]]:
    if not name.endswith("S"):
        return name, spelled(kind)
    if kind is int:
        return f"{name[:-1]}Seconds", {"type": "integer"}
    return name[:-1], _MOMENT if kind is float else {"anyOf": [_MOMENT, {"type": "null"}]}


def _object(fields: Mapping[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(fields),
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }


def _answers() -> dict[str, Any]:
    life = spelled(Life)
    in_outage = spelled(InOutage | None)
    request = _object({"id": _TEXT, **life["properties"], "reviewState": _TEXT, "endedInOutage": in_outage})
    switch = spelled(KillSwitch)["properties"]
    switch.pop("pullId")
    template = {
        "allOf": [
            {"$ref": f"#/components/schemas/{Template.__name__}"},
            {
                "type": "object",
                "properties": {
                    "mayAsk": _FLAG,
                    "mayAskInEmergency": _FLAG,
                    "mayApprove": _FLAG,
                    "digest": _TEXT,
                },
                "required": ["mayAsk", "mayAskInEmergency", "mayApprove", "digest"],
            },
        ]
    }
    ref = {"$ref": "#/components/schemas/Request"}
    return {
        "Request": request,
        "Requests": _object({"items": {"type": "array", "items": ref}, "next": _TEXT}, optional=("next",)),
        "Credential": _object({"id": _TEXT, "token": _TEXT, "expires": _MOMENT}),
        "KillSwitch": _object({**switch, "pulledInOutage": in_outage}),
        "Templates": _object({"items": {"type": "array", "items": template}, "policyDigest": _TEXT}),
        "Cluster": {"$ref": f"#/components/schemas/{Reachable.__name__}"},
        "Foreseen": spelled(Foreseen),
        "Session": _object({"token": _TEXT, "expires": _MOMENT}),
        "Taken": _object({"requests": {"type": "array", "items": _TEXT}, "lookedAt": {"type": "integer"}}),
        "GrantUse": spelled(GrantUse),
        "Findings": _object({"items": {"type": "array", "items": spelled(Finding)}}),
        "EventList": {
            "type": "object",
            "required": ["items"],
            "properties": {"items": {"type": "array", "items": {"type": "object"}}},
        },
        "AuditTaken": _object(
            {**spelled(AuditTaken)["properties"], "unread": {"type": "array", "items": _TEXT}}
        ),
        "Document": {"type": "object"},
        "Report": {"$ref": "#/components/schemas/Head"},
        "Journaled": _object(
            {
                "record": _TEXT,
                "grant": _TEXT,
                "at": _MOMENT,
                "isJournaled": _FLAG,
                "isRemoved": _FLAG,
                "detail": _TEXT,
            }
        ),
        "Problem": _object({"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT}),
    }


def _delivery(ours: Mapping[str, Any]) -> dict[str, Any]:
    jira = {"type": "object", "required": ["webhookEvent"], "properties": {"webhookEvent": _TEXT}}
    return {"anyOf": [ours, jira]}


def _operation(one: Operation) -> dict[str, Any]:
    parameters = [
        _parameter(name, "path", ID_PATTERN if name == "id" else "", required=True)
        for name in re.findall(r"\{(\w+)\}", one.path)
    ]
    parameters += [
        _parameter(name, "query", pattern.pattern, required=name in one.required)
        for name, pattern in one.query.items()
    ]
    if one.keyed:
        parameters.append(_parameter("Idempotency-Key", "header", "[!-~]{1,128}"))
    if one.versioned:
        parameters.append(_parameter("If-Match", "header", ""))
    if one.cached:
        parameters.append(_parameter("If-None-Match", "header", ""))
    if one.proven:
        parameters.append(_parameter(PROOF_HEADER, "header", ""))
    found: dict[str, Any] = {
        "summary": one.summary,
        "operationId": re.sub(r"[^a-zA-Z]+", "_", f"{one.method} {one.path.removeprefix('/v1/')}").strip("_"),
        "parameters": parameters,
        "responses": {
            str(one.status): {"description": "Done.", **_content(one.answer)},
            **(
                {str(one.again): {"description": "It was there.", **_content(one.answer)}}
                if one.again
                else {}
            ),
            **({"304": {"description": "It is as it was."}} if one.cached and one.method == "get" else {}),
            "default": {
                "description": "Not done.",
                "content": {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if one.open:
        found["security"] = []
    if one.ends:
        found["responses"]["202"] = {
            "description": "Done, or being done, while the database is out of reach.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Journaled"}}},
        }
    if one.body is not None or one.takes:
        body = one.body.__name__ if one.body is not None else one.takes
        found["requestBody"] = {"required": True, **_content(body)}
    return found


def _content(named: str) -> dict[str, Any]:
    """Of schemas' names and media types."""
    found: dict[str, Any] = {}
    for one in named.split():
        if "/" in one:
            found[one] = {"schema": {} if one.endswith("+json") else _TEXT}
        else:
            found["application/json"] = {"schema": {"$ref": f"#/components/schemas/{one}"}}
    return {"content": found} if found else {}


def _parameter(name: str, place: str, pattern: str, *, required: bool = False) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^({pattern})$"} if pattern else {"type": "string"}
    return {"name": name, "in": place, "required": required, "schema": schema}
