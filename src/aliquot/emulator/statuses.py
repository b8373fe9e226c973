"""Refusals as a metav1.Status, in Kubernetes' own words: clients and people match on these texts.

A handler raises `StatusError`; the server answers it. Validation errors are made elsewhere (schema) and carried
here as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.discovery import ResourceType
from aliquot.emulator.schema.errors import ErrorType, FieldError, invalid_status

MAX_BODY_BYTES = 3 << 20


class StatusError(Exception):
    """A refusal: `status` is the whole Status object. Some are answered as `text` instead. `denied` are those of
    authorization."""

    def __init__(self, status: Mapping[str, Any], text: str = "", *, denied: bool = False) -> None:
        super().__init__(text or status.get("message", ""))
        self.status = status
        self.text = text
        self.denied = denied

    @property
    def code(self) -> int:
        return int(self.status["code"])


def failure(
    code: int,
    reason: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    *,
    continue_: str = "",
) -> StatusError:
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": continue_} if continue_ else {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = dict(details)
    return StatusError({**status, "code": code})


def denied(code: int, reason: str, message: str, details: Mapping[str, Any]) -> StatusError:
    """By authorization, which may answer anybody and anything."""
    return StatusError(failure(code, reason, message, details).status, denied=True)


def success(code: int = 200, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        return {**status, "details": dict(details)}
    return {**status, "code": code}


def details(resource: ResourceType, name: str = "", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in found.items() if value} | more


def not_found(resource: ResourceType, name: str) -> StatusError:
    return failure(404, "NotFound", f'{resource.qualified} "{name}" not found', details(resource, name))


_NO_SUCH_PATH = "the server could not find the requested resource"


def no_such_path() -> StatusError:
    """Below a group and version of Kubernetes' own that are served."""
    return failure(404, "NotFound", _NO_SUCH_PATH, {})


def not_served(what: str, why: str) -> StatusError:
    """Kubernetes has it, and this server leaves it out."""
    # kubectl debug looks into the details of a 404, and dies where there are none.
    return failure(404, "NotFound", f"{_NO_SUCH_PATH}: {what} is not served here: {why}", {})


def page_not_found() -> StatusError:
    """Anywhere else: no Status at all. Clients make one of it, and name in it what they asked for."""
    return StatusError(failure(404, "NotFound", _NO_SUCH_PATH).status, "404 page not found\n")


def method_not_allowed() -> StatusError:
    return failure(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


def already_exists(resource: ResourceType, name: str) -> StatusError:
    return failure(
        409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details(resource, name)
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: ResourceType, name: str, why: str = MODIFIED, *, subresource: str = "") -> StatusError:
    what = f"{resource.qualified}/{subresource}" if subresource else resource.qualified
    found = details(resource, name)
    if subresource:
        found["kind"] = f"{resource.plural}/{subresource}"
    return failure(409, "Conflict", f'Operation cannot be fulfilled on {what} "{name}": {why}', found)


def precondition_failed(resource: ResourceType, name: str, why: str) -> StatusError:
    """Of a deletion: Kubernetes says the kind there, where it says the resource elsewhere."""
    what = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    found = {**details(resource, name), "kind": resource.kind}
    return failure(409, "Conflict", f'Operation cannot be fulfilled on {what} "{name}": {why}', found)


def forbidden(
    resource: ResourceType, name: str, why: str, causes: Sequence[Mapping[str, str]] = ()
) -> StatusError:
    what = f'{resource.qualified} "{name}"' if name else resource.qualified
    more = {"causes": list(causes)} if causes else {}
    return failure(403, "Forbidden", f"{what} is forbidden: {why}", details(resource, name, **more))


def aggregate(problems: Sequence[str]) -> str:
    """Several reasons as one, as Go's aggregated errors read."""
    found = list(dict.fromkeys(problems))
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]"


def bad_request(message: str) -> StatusError:
    return failure(400, "BadRequest", message)


def other_namespace() -> StatusError:
    return bad_request(
        "the namespace of the provided object does not match the namespace sent on the request"
    )


def unauthorized() -> StatusError:
    return failure(401, "Unauthorized", "Unauthorized")


def invalid(resource: ResourceType, name: str, errors: Sequence[FieldError]) -> StatusError:
    return StatusError(invalid_status(resource.group, resource.kind, name, errors))


def invalid_options(kind: str, errors: Sequence[FieldError]) -> StatusError:
    """Of the parameters of a request, which Kubernetes judges as an object of their own: CreateOptions, ListOptions."""
    return StatusError(invalid_status("meta.k8s.io", kind, "", errors))


def invalid_patch(shown: str, why: str) -> StatusError:
    """A patch that cannot be read as what it makes of an object: refused as an object of no kind and no name."""
    return StatusError(invalid_status("", "", "", [FieldError(ErrorType.INVALID, "patch", shown, why)]))


def too_large() -> StatusError:
    return failure(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MAX_BODY_BYTES}")


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    return failure(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted),
    )


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    return failure(
        406, "NotAcceptable", "only the following media types are accepted: " + ", ".join(accepted)
    )


def expired(message: str, *, continue_: str = "") -> StatusError:
    return failure(410, "Expired", message, continue_=continue_)


def too_old(asked: int, oldest: int) -> StatusError:
    return expired(f"too old resource version: {asked} ({oldest})")


def not_there_yet(asked: int, current: int) -> StatusError:
    """A revision from the future: of another cluster, or of a state that is gone."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return failure(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {"causes": causes, "retryAfterSeconds": 1},
    )


def internal(why: str) -> StatusError:
    return failure(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


def unavailable(why: str) -> StatusError:
    return failure(503, "ServiceUnavailable", why, {"retryAfterSeconds": 1})
