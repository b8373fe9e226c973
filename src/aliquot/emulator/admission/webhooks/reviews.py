"""AdmissionReviews: the question a webhook is sent, and its answer, held to the protocol. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.emulator.objects import Json

_GROUP = "admission.k8s.io"
_KNOWN = ("v1", "v1beta1")
_JSON_PATCH = "JSONPatch"


class UnreadableAnswer(Exception):
    """No AdmissionReview at all."""


class InvalidAnswer(Exception):
    """An AdmissionReview that does not answer what was asked."""


class _Status(msgspec.Struct):
    status: str | None = None
    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: dict[str, Any] | None = None


class _Response(msgspec.Struct, rename="camel"):
    uid: str = ""
    allowed: bool | None = None
    status: _Status | None = None
    patch: bytes | None = None
    patch_type: str | None = None
    audit_annotations: dict[str, str] | None = None
    warnings: list[str] | None = None


class _Review(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    response: _Response | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    refusal: Json
    """The Status of a webhook that did not allow it, as it put it."""
    patch: bytes
    """JSON, empty when nothing is to change."""
    patch_type: str
    annotations: dict[str, str]
    warnings: Sequence[str]


def version(accepted: Sequence[str]) -> str | None:
    """The first of the versions that a webhook accepts that there is; None when there is none."""
    return next((one for one in accepted if one in _KNOWN), None)


def question(version: str, uid: str, request: Json, obj: Json | None, old: Json | None) -> bytes:
    asked = {"uid": uid, **request, "object": obj, "oldObject": old}
    return msgspec.json.encode(
        {"kind": "AdmissionReview", "apiVersion": f"{_GROUP}/{version}", "request": asked}
    )


def read_answer(body: bytes, version: str, uid: str, *, mutating: bool) -> Verdict:
    """Raises UnreadableAnswer, InvalidAnswer."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except msgspec.ValidationError as error:
        raise UnreadableAnswer(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"couldn't get version/kind; json parse error: {error}") from error
    response = review.response
    if response is None:
        raise InvalidAnswer("webhook response was absent")
    # What v1beta1 answers was never held to anything: any patch is a JSON patch.
    if version == "v1":
        _check(review, response, uid, mutating)
    patch = (response.patch or b"") if mutating else b""
    status = response.status or _Status()
    told = {
        "message": status.message,
        "reason": status.reason,
        "code": status.code,
        "details": status.details,
    }
    return Verdict(
        allowed=bool(response.allowed),
        refusal={key: value for key, value in told.items() if value},
        patch=patch,
        patch_type=(response.patch_type or "") if version == "v1" else _JSON_PATCH,
        annotations=response.audit_annotations or {},
        warnings=response.warnings or (),
    )


def _check(review: _Review, response: _Response, uid: str, mutating: bool) -> None:
    if response.uid != uid:
        raise InvalidAnswer(f'expected response.uid="{uid}", got "{response.uid}"')
    if (review.kind, review.api_version) != ("AdmissionReview", f"{_GROUP}/v1"):
        group, _, version = review.api_version.rpartition("/")
        raise InvalidAnswer(
            f"expected webhook response of {_GROUP}/v1, Kind=AdmissionReview, got {group}/{version}, Kind={review.kind}"
        )
    if not mutating:
        for name, value in (("patch", response.patch), ("patchType", response.patch_type)):
            if value:
                raise InvalidAnswer(f"validating webhook may not return response.{name}")
    elif response.patch and response.patch_type is None:
        raise InvalidAnswer("webhook returned response.patch but not response.patchType")
    elif not response.patch and response.patch_type is not None:
        raise InvalidAnswer("webhook returned response.patchType but not response.patch")
    elif response.patch_type == "":
        raise InvalidAnswer('webhook returned invalid response.patchType of ""')


def denied(name: str, refusal: Json) -> Json:
    """The Status that the client gets of a webhook's refusal."""
    by = f'admission webhook "{name}" denied the request'
    why = refusal.get("message") or refusal.get("reason")
    code = refusal.get("code", 0)
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        **refusal,
        "message": f"{by}: {why}" if why else f"{by} without explanation",
        # A refusal is no success, whatever the webhook says.
        "code": code if code >= 400 else 400,
    }
