"""What comes to the door: JSON bodies and queries, each into a type, or refused in one line that names the part."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from starlette.requests import Request

from aliquot import document
from aliquot.access.api.problems import Problem
from aliquot.access.core import asked
from aliquot.access.core.asked import AskBody
from aliquot.access.core.requests import is_id
from aliquot.access.core.terms import Ask
from aliquot.document import DocumentError, nearest

T = TypeVar("T")

MOST_BODY_BYTES = 64 * 1024
_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)
_ETAG = re.compile(r'"([1-9][0-9]{0,9})"', re.ASCII)


async def body(request: Request, kind: type[T]) -> T:
    """Raises Problem."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    read = await limited(request, MOST_BODY_BYTES)
    if media_type != "application/json":
        raise Problem(415, "media-type", "send JSON, with Content-Type: application/json")
    try:
        # What is lenient elsewhere is not to be here: YAML, lone surrogates, NaN.
        if not isinstance(msgspec.json.decode(read), dict):
            raise Problem(400, "malformed", "a JSON object is expected")
        return document.parse(read.decode(), source="body").into(kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed", f"the body is not JSON: {error}") from None
    except DocumentError as error:
        raise Problem(422, "invalid", str(error)) from None


async def no_body(request: Request) -> None:
    """Raises Problem: somebody thinks that what they send is heard."""
    if (await limited(request, MOST_BODY_BYTES)).strip() not in (b"", b"{}"):
        raise Problem(422, "invalid", "this takes no body: leave it out")


def query(request: Request, known: Mapping[str, re.Pattern[str]], *, rest: str = "") -> dict[str, str]:
    """Those parameters that are given. `rest`: what others may begin with. Raises Problem."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise Problem(422, "invalid", f"'{name}' is given twice")
        if not (rest and name.startswith(rest)):
            if name not in known:
                hint = nearest(name, known) or f"; known: {', '.join(sorted(known))}"
                raise Problem(422, "invalid", f"unknown parameter '{name}'{hint}")
            if known[name].fullmatch(value) is None:
                raise Problem(
                    422, "invalid", f"'{name}' is {value[:80]!r}, and has to be like {known[name].pattern}"
                )
        found[name] = value
    return found


def id_of(request: Request) -> str:
    """Raises Problem: what is no id is no request's."""
    found: str = request.path_params["id"]
    if not is_id(found):
        raise Problem(404, "not-there", "there is no request of this id that you may see")
    return found


def idempotency_key(request: Request) -> str:
    """Empty: none is given. Raises Problem."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return ""
    if _KEY.fullmatch(key) is None:
        raise Problem(400, "malformed", "an Idempotency-Key has 1 to 128 characters of ASCII, without blanks")
    return key


def wanted_version(request: Request) -> int | None:
    """By If-Match; None: whichever. Raises Problem."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    if (found := _ETAG.fullmatch(given.strip())) is None:
        raise Problem(412, "moved", f"If-Match is one ETag, as it was given, not {given[:80]!r}")
    return int(found[1])


def said(written: AskBody) -> Ask:
    """Raises Problem."""
    try:
        return written.ask()
    except ValueError as error:
        raise Problem(422, "invalid", str(error)) from None


def moment(name: str, text: str) -> float:
    """Raises Problem."""
    try:
        return asked.moment(name, text)
    except ValueError as error:
        raise Problem(422, "invalid", str(error)) from None


async def limited(request: Request, most_bytes: int) -> bytes:
    """Raises Problem; no more is read than that."""
    too_large = Problem(413, "too-large", f"a body has at most {most_bytes} bytes")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most_bytes:
        raise too_large
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most_bytes:
            raise too_large
    return bytes(found)
