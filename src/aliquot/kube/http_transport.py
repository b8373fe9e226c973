"""HTTP over sockets, by aiohttp, which is imported only when a connection is really opened.

Compression is not asked for: inside a cluster it costs both ends more time than it saves.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aliquot.kube.transport import Request, TransportError

if TYPE_CHECKING:
    import aiohttp

_READ_BUFFER_BYTES = 1 << 20


class HttpTransport:
    """To `server` (`https://host:port`, a path prefix allowed).

    `token` is asked before each request, so that a rotated token is used at once. `server_name` is what the server's
    certificate must say where that is not the address' host. Connections are kept and shared, without a limit:
    every watch holds one.
    """

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext | None = None,
        token: Callable[[], str] | None = None,
        server_name: str = "",
        proxy: str = "",
    ) -> None:
        self._server = server.rstrip("/")
        self._tls = tls
        self._token = token
        self._server_name = server_name
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> "_HttpResponse":
        import aiohttp
        from yarl import URL

        session = self._session or self._open()
        headers = dict(request.headers)
        if self._token is not None:
            try:
                headers["Authorization"] = f"Bearer {self._token()}"
            except OSError as error:
                raise TransportError(f"token is not readable: {error}", delivered=False) from error
        query = f"?{urlencode(request.query)}" if request.query else ""
        try:
            async with asyncio.timeout(request.timeout_s):
                response = await session.request(
                    request.method,
                    URL(f"{self._server}{request.path}{query}", encoded=True),
                    headers=headers,
                    data=request.body or None,
                    ssl=self._tls if self._tls is not None else True,
                    server_hostname=self._server_name or None,
                    proxy=self._proxy or None,
                    allow_redirects=False,
                )
        except TimeoutError:
            raise TransportError(f"no answer from {self._server} within {request.timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise TransportError(_explain(self._server, error), delivered=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"connection to {self._server} failed: {error or repr(error)}") from error
        return _HttpResponse(response)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"Accept-Encoding": "identity"},
            read_bufsize=_READ_BUFFER_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


class _HttpResponse:
    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self.status = response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> bytes:
        import aiohttp

        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"answer cut off: {error or repr(error)}") from error

    async def chunks(self) -> AsyncIterator[bytes]:
        import aiohttp

        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"answer cut off: {error or repr(error)}") from error

    async def close(self) -> None:
        # Gives the connection back when the body was read to its end, and drops it otherwise.
        self._response.close() if not self._response.content.at_eof() else self._response.release()


def _explain(server: str, error: "aiohttp.ClientConnectorError") -> str:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return f"certificate of {server} is not trusted: {reason}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"no address for {server}: {error.os_error.strerror or error.os_error}"
    return f"cannot connect to {server}: {error.os_error.strerror or error.os_error}"
