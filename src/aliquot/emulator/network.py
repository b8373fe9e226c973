"""What the server asks of others: webhooks of admission, collectors of audit events.

By aiohttp, which is imported only when there is somebody to call. What fails is told in the words of the real server's
HTTP client: people search for them.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import aiohttp

LARGEST_ANSWER_BYTES = 3 << 20
_CONTEXTS = 200
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json, */*"}
_UNKNOWN_AUTHORITY = frozenset([18, 19, 20, 21])
"""OpenSSL's X509_V_ERR codes of chains that end at nobody who is trusted."""
_NOT_NOW = frozenset([9, 10])
_OTHER_NAME = frozenset([62, 64])


class CallFailed(Exception):
    """No answer came; the text says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str
    authority: bytes = b""
    """PEM of whom to trust; empty for those whom the machine trusts."""
    address: tuple[str, int] | None = None
    """Where to connect, if not to the URL's host, whom the certificate must name all the same."""
    token: str = field(default="", repr=False)
    """What is shown there."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


class Network(Protocol):
    async def get(self, endpoint: Endpoint, *, timeout_s: float) -> Reply:
        """Raises CallFailed."""
        ...

    async def post(self, endpoint: Endpoint, body: bytes, *, timeout_s: float) -> Reply:
        """Raises CallFailed."""
        ...

    async def close(self) -> None: ...


class HttpsNetwork:
    """Connections are kept for the next call."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def get(self, endpoint: Endpoint, *, timeout_s: float) -> Reply:
        """Raises CallFailed."""
        return await self._call("GET", endpoint, None, timeout_s)

    async def post(self, endpoint: Endpoint, body: bytes, *, timeout_s: float) -> Reply:
        """Raises CallFailed."""
        return await self._call("POST", endpoint, body, timeout_s)

    async def _call(self, method: str, endpoint: Endpoint, body: bytes | None, timeout_s: float) -> Reply:
        import aiohttp
        from yarl import URL

        session = self._session or self._open()
        url = URL(endpoint.url)
        shown = f'{method.capitalize()} "{endpoint.url}"'
        headers: Mapping[str, str] = _HEADERS
        server_name = None
        if endpoint.address is not None:
            headers = {**headers, "Host": url.raw_authority}
            server_name = url.raw_host
            url = url.with_host(endpoint.address[0]).with_port(endpoint.address[1])
        if endpoint.token:
            headers = {**headers, "Authorization": f"Bearer {endpoint.token}"}
        try:
            async with asyncio.timeout(timeout_s):
                async with session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    ssl=self._context(endpoint.authority),
                    server_hostname=server_name,
                    allow_redirects=False,
                ) as response:
                    return Reply(response.status, await _read(response))
        except TimeoutError:
            raise CallFailed(f"{shown}: context deadline exceeded") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise CallFailed(f"{shown}: {_untrusted(error.certificate_error)}") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise CallFailed(f"{shown}: dial tcp: lookup {url.raw_host}: no such host") from error
        except aiohttp.ClientConnectorSSLError as error:
            raise CallFailed(f"{shown}: tls: {error.os_error}") from error
        except aiohttp.ClientConnectorError as error:
            why = (error.os_error.strerror or str(error.os_error)).lower()
            if isinstance(error.os_error, ConnectionRefusedError):
                why = "connection refused"
            raise CallFailed(f"{shown}: dial tcp {url.host}:{url.port}: connect: {why}") from error
        except aiohttp.ServerDisconnectedError as error:
            raise CallFailed(f"{shown}: EOF") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallFailed(f"{shown}: {error or repr(error)}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session

    def _context(self, authority: bytes) -> ssl.SSLContext:
        """Raises CallFailed."""
        found = self._contexts.get(authority)
        if found is None:
            try:
                found = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
            except (ssl.SSLError, ValueError) as error:
                raise CallFailed(
                    "unable to load root certificates: unable to parse bytes as PEM block"
                ) from error
            if len(self._contexts) >= _CONTEXTS:
                self._contexts.pop(next(iter(self._contexts)))
            self._contexts[authority] = found
        return found


async def _read(response: "aiohttp.ClientResponse") -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER_BYTES:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER_BYTES} bytes")
    return b"".join(pieces)


def _untrusted(error: Exception) -> str:
    code = getattr(error, "verify_code", 0)
    if code in _UNKNOWN_AUTHORITY:
        why = "x509: certificate signed by unknown authority"
    elif code in _NOT_NOW:
        why = "x509: certificate has expired or is not yet valid"
    elif code in _OTHER_NAME:
        why = f"x509: {getattr(error, 'verify_message', error)}"
    else:
        why = str(getattr(error, "verify_message", "") or error)
    return f"tls: failed to verify certificate: {why}"
