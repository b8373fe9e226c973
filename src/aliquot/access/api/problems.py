"""What went wrong, as RFC 9457 has it: one line for people, and a type and a status for programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from aliquot.access.broker.broker import Moved, No, NotThere, Unavailable
from aliquot.access.core.refusals import Ground, Refused
from aliquot.sql.failures import Unreachable

CONTENT_TYPE = "application/problem+json"
_TYPES = "urn:aliquot:access:"
_OUT_OF_REACH = "the database is out of reach: nothing was done, and nothing is given until it is back; what is there can be ended"
_AGAIN = {"Retry-After": "5"}

STATUSES: Mapping[Ground, int] = {
    Ground.INVALID: 422,
    Ground.FORBIDDEN: 403,
    Ground.CONFLICT: 409,
    Ground.LIMITED: 429,
    Ground.STOPPED: 503,
    Ground.UNKNOWN: 503,
}


@dataclass
class Problem(Exception):
    status: int
    kind: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        said = {
            "type": _TYPES + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return Response(
            msgspec.json.encode(said), self.status, headers=dict(self.headers), media_type=CONTENT_TYPE
        )


def refused(no: Refused) -> Problem:
    return Problem(STATUSES[no.ground], no.ground.value, no.reason)


def not_there() -> Problem:
    """Also of what somebody may not see: they do not learn the difference."""
    return Problem(404, "not-there", "there is no request of this id that you may see")


def of(error: Exception) -> Problem:
    """Raises the error where it is none of ours."""
    match error:
        case Problem():
            return error
        case No():
            return refused(error.refused)
        case NotThere():
            return not_there()
        case Moved():
            return Problem(412, "moved", str(error))
        case Unavailable():
            return Problem(503, "unavailable", str(error), _AGAIN)
        case Unreachable():
            # Its text names the database, which is nobody's business here.
            return Problem(503, "unavailable", _OUT_OF_REACH, _AGAIN)
        case HTTPException():
            return Problem(error.status_code, "http", error.detail, error.headers or {})
        case _:
            raise error


async def answer(_request: Request, error: Exception) -> Response:
    return of(error).response()


async def answer_to_a_bug(_request: Request, _error: Exception) -> Response:
    """The server writes it down."""
    return Problem(500, "internal", "this is a fault of the server, which has written it down").response()


async def answer_to_nobody(_request: Request, _error: Exception) -> Response:
    """Whoever called has gone before they had sent all of it: nothing was done. That is no fault of the server, which says nothing of it."""
    return Response(status_code=400)


HANDLERS = dict.fromkeys((Problem, No, NotThere, Moved, Unavailable, Unreachable, HTTPException), answer) | {
    ClientDisconnect: answer_to_nobody,
    Exception: answer_to_a_bug,
}
