"""What is asked of identity providers over HTTPS. They are not trusted to answer soon, briefly, or from where they were asked."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import aiohttp

_LARGEST_BYTES = 1 << 20
_TIMEOUT_S = 5.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Unreached(Exception):
    """One line: no answer came that can be used."""


class Web(Protocol):
    async def get(self, url: str) -> bytes:
        """The body of a 200. Raises Unreached."""
        ...

    async def post(self, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """Raises Unreached."""
        ...


class Https:
    """A Web. `authority`: PEM of whom to trust; empty for those whom the machine trusts. Connections are kept for the next call."""

    def __init__(self, authority: str = "") -> None:
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str) -> bytes:
        status, body = await self._call("GET", url, None)
        if status != 200:
            raise Unreached(f"{url} answers with HTTP {status}")
        return body

    async def post(self, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        return await self._call("POST", url, form)

    async def _call(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, bytes]:
        import aiohttp

        if problem := unsafe(url):
            raise Unreached(f"{url} {problem}")
        if self._session is None:
            context = ssl.create_default_context(cadata=self._authority or None)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._session.request(
                    method, url, data=form, allow_redirects=False, headers={"Accept": "application/json"}
                ) as answer,
            ):
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > _LARGEST_BYTES:
                        raise Unreached(f"{url} answers with more than {_LARGEST_BYTES} bytes")
                return answer.status, bytes(body)
        except TimeoutError:
            raise Unreached(f"{url} does not answer within {_TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreached(f"{url} cannot be asked: {' '.join(str(error).split())}") from None


def unsafe(url: str) -> str:
    """Why nothing may be asked there; empty: it may. Plain HTTP is for this machine alone."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("https", "http") or not host:
        return "is no https:// URL"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "is not encrypted: use https://"
    if parts.username is not None or parts.fragment:
        return "has a user name or a fragment, which the URL of an issuer does not have"
    return ""
