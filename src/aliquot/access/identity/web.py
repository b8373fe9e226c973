"""What is asked of identity providers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

from aliquot.access.outside.calling import Answer, Unreached, call, url_trouble

if TYPE_CHECKING:
    import aiohttp

_TIMEOUT_S = 5.0
_JSON = {"Accept": "application/json"}
_FORM = {**_JSON, "Content-Type": "application/x-www-form-urlencoded"}


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
        answer = await self._call("GET", url, _JSON, None)
        if answer.status != 200:
            raise Unreached(f"{url} answers with HTTP {answer.status}")
        return answer.body

    async def post(self, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        answer = await self._call("POST", url, _FORM, urlencode(form).encode())
        return answer.status, answer.body

    async def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        from yarl import URL

        if trouble := url_trouble(url):
            raise Unreached(trouble)
        if self._session is None:
            self._session = self._open()
        return await call(self._session, method, URL(url), headers=headers, body=body, timeout_s=_TIMEOUT_S)

    def _open(self) -> "aiohttp.ClientSession":
        import ssl

        import aiohttp

        context = ssl.create_default_context(cadata=self._authority or None)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
