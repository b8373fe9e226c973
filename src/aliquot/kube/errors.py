"""What the API server refused, typed by what a caller does about it.

Made from a metav1.Status where the server sent one, from the HTTP status and the body's text where it did not (a
proxy, a load balancer). A failure to reach the server at all is `Unavailable` with code 0.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct


class StatusCause(Struct, kw_only=True, rename="camel", frozen=True, gc=False):
    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(Struct, kw_only=True, rename="camel", frozen=True, gc=False):
    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] | None = None
    retry_after_seconds: int | None = None


class Status(Struct, kw_only=True, rename="camel", frozen=True, gc=False):
    """metav1.Status, as far as it says what went wrong."""

    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class ApiError(Exception):
    """The server answered no. `code` is the HTTP status, `reason` the Status' CamelCase reason (may be empty)."""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        details: StatusDetails | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.details = details
        self.retry_after_s = retry_after_s


class NotFound(ApiError):
    """404: the object, its namespace, or the whole resource."""


class Conflict(ApiError):
    """409: another writer was first, or another field manager owns the field."""


class AlreadyExists(ApiError):
    """409 on create."""


class Invalid(ApiError):
    """422, and 400: the object breaks its schema; `details.causes` names the fields."""


class Forbidden(ApiError):
    """403."""


class Unauthorized(ApiError):
    """401."""


class TooManyRequests(ApiError):
    """429: overload, or an eviction that a disruption budget does not allow now."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class Unavailable(ApiError):
    """5xx, or no answer (code 0). What was asked may or may not have happened."""


_BY_CODE: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}

_status_decoder = msgspec.json.Decoder(Status)


def from_status(status: Status, *, retry_after_s: float | None = None) -> ApiError:
    """The error that a Status stands for. The header's Retry-After, when given, wins over the details'."""
    if status.reason == "AlreadyExists":
        kind: type[ApiError] = AlreadyExists
    elif status.code >= 500 or status.code == 0:
        kind = Unavailable
    else:
        kind = _BY_CODE.get(status.code, ApiError)
    if retry_after_s is None and status.details is not None and status.details.retry_after_seconds:
        retry_after_s = float(status.details.retry_after_seconds)
    message = status.message or status.reason or f"HTTP {status.code}"
    return kind(
        message, code=status.code, reason=status.reason, details=status.details, retry_after_s=retry_after_s
    )


def from_response(code: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error for an answer of 400 or above. `headers` have lower-case names."""
    retry_after_s = _seconds(headers.get("retry-after"))
    try:
        status = _status_decoder.decode(body)
    except msgspec.DecodeError:
        text = body[:500].decode(errors="replace").strip()
        status = Status(message=f"HTTP {code}: {text}" if text else f"HTTP {code}")
    if status.code != code:
        status = msgspec.structs.replace(status, code=code)
    return from_status(status, retry_after_s=retry_after_s)


def _seconds(header: str | None) -> float | None:
    """Retry-After as a number of seconds; its date form is not used by API servers and reads as absent."""
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None
