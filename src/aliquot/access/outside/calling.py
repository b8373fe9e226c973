"""One call to somebody else's server. It takes so long at most, its answer has so many bytes at most, and it follows nobody elsewhere."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from msgspec import Struct
from yarl import URL

from aliquot.kube.quoted import quoted

MOST_ANSWER_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 16
_SECONDS = re.compile(r"[0-9]{1,6}", re.ASCII)
_TOO_MANY = 429
_LATER = (_TOO_MANY, 503)
_LONGEST_WAIT_S = 3600.0
_AT_HOME = ("localhost", "127.0.0.1", "::1")


class Unreached(Exception):
    """One line: who could not be asked, and why. `again_s`: so long it wants to be left alone."""

    def __init__(self, text: str, *, again_s: float | None = None) -> None:
        super().__init__(text)
        self.again_s = again_s


class Answer(Struct, frozen=True):
    status: int
    body: bytes


def url_trouble(url: str) -> str:
    """What is wrong with the address of a server; empty: nothing."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018  # it is read when asked for, and may be none
    except ValueError:
        return f"{quoted(url)} is no URL"
    if not host or parts.scheme not in ("https", "http") or not url.isascii() or not url.isprintable():
        return f"{quoted(url)} is no URL: write https://HOST"
    if parts.scheme == "http" and host not in _AT_HOME:
        return f"{quoted(url)} would carry secrets in the clear: write https://"
    if parts.username is not None or parts.password is not None:
        return "a URL with a password in it gets into logs: put the password into a file"
    if parts.fragment:
        return f"{quoted(url)}: leave out what follows '#'"
    return ""


def new_session(authority: str = "") -> aiohttp.ClientSession:
    """To be closed by whoever opens it. `authority`: PEM of whom to trust; empty for those whom the machine trusts. It keeps no cookies:
    with them a server might go on knowing us by a secret that has been exchanged."""
    context = ssl.create_default_context(cadata=authority or None)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context), cookie_jar=aiohttp.DummyCookieJar()
    )


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout_s: float,
) -> Answer:
    """Who asks to be asked again within the time that there is, is. Raises Unreached; the URL's path may be a secret and is not named."""
    who = url.host or "?"
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s) as limit:
            answer, again_s = await _once(session, method, url, headers, body)
            left_s = (limit.when() or 0.0) - loop.time()
            if again_s is not None and again_s < left_s:
                await asyncio.sleep(again_s)
                answer, again_s = await _once(session, method, url, headers, body)
    except TimeoutError:
        raise Unreached(f"{who}: no answer within {timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Not the error's own text: it may name the whole URL.
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise Unreached(f"{who}: {why}") from None
    if answer.status == _TOO_MANY or again_s is not None:
        later = "" if again_s is None else f", for {again_s:g} s"
        said = "too many calls" if answer.status == _TOO_MANY else "it is not there"
        raise Unreached(f"{who}: {said}{later}", again_s=again_s)
    return answer


async def _once(
    session: aiohttp.ClientSession, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
) -> tuple[Answer, float | None]:
    """And when it wants to be asked again."""
    async with session.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
        whole = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            whole += chunk
            if len(whole) > MOST_ANSWER_BYTES:
                raise aiohttp.ClientPayloadError
        wants_s = _retry_after_s(response.headers) if response.status in _LATER else None
        return Answer(response.status, bytes(whole)), wants_s


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Of seconds, or of a moment by the server's own clock."""
    after = headers.get("Retry-After", "")
    if _SECONDS.fullmatch(after):
        return float(after)
    try:
        left_s = (parsedate_to_datetime(after) - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None
    return min(left_s, _LONGEST_WAIT_S) if left_s >= 0 else None
