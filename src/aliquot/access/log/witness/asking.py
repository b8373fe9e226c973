"""A log that asks a witness over HTTP: ours, or any that speaks c2sp.org/tlog-witness."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import aiohttp

_MOST_ANSWER_BYTES = 1 << 16
_LATER = (408, 425, 429)
_SIZE = "text/x.tlog.size"


class Unwitnessed(Exception):
    """A checkpoint has no signature of that witness, and stands as it is. Its text is for people. `refused`: it answers, and does not
    sign; asking again will not help."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


async def ask(
    session: aiohttp.ClientSession,
    url: str,
    prepare: Callable[[int], Awaitable[bytes]],
    *,
    old: int = 0,
    timeout_s: float = 10.0,
) -> str:
    """Signature lines, for `checkpoints.with_cosignatures`. `prepare` makes a request (`request.asking`) for a witness that has seen so
    many entries, `old` by what we remember; where it has seen others it says how many. Raises Unwitnessed.
    """
    try:
        async with asyncio.timeout(timeout_s):
            status, kind, text = await _post(session, url, await prepare(old))
            if status == 409 and kind == _SIZE and re.fullmatch(r"[0-9]{1,18}\n", text, re.ASCII):
                seen = int(text)
                if seen != old:
                    status, kind, text = await _post(session, url, await _prepared(prepare, seen))
    except TimeoutError as error:
        raise Unwitnessed(f"{url}: no answer within {timeout_s:g} s") from error
    except aiohttp.ClientError as error:
        raise Unwitnessed(f"{url}: {error}") from error
    except ValueError as error:
        raise Unwitnessed(f"{url}: {error}", refused=True) from error
    if status != 200:
        raise Unwitnessed(
            f"{url}: {status}: {text.strip()[:200]!r}", refused=400 <= status < 500 and status not in _LATER
        )
    return text


async def _prepared(prepare: Callable[[int], Awaitable[bytes]], seen: int) -> bytes:
    try:
        return await prepare(seen)
    except ValueError as error:
        raise ValueError(f"the witness has seen {seen} entries: {error}; was the log cut short?") from error


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[int, str, str]:
    """Raises aiohttp.ClientError, ValueError."""
    async with session.post(
        f"{url.rstrip('/')}/add-checkpoint", data=body, allow_redirects=False
    ) as response:
        answer = bytearray()
        async for chunk in response.content.iter_chunked(_MOST_ANSWER_BYTES):
            answer += chunk
            if len(answer) > _MOST_ANSWER_BYTES:
                raise ValueError(f"its answer has more than {_MOST_ANSWER_BYTES} bytes")
        return response.status, response.content_type, answer.decode()
