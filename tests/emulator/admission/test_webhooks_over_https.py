"""Webhooks over real HTTPS on loopback: what the network does to them."""

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from tests.emulator.admission.hooks import allow, configure, deny, hook, label
from tests.emulator.api import CONFIGS, Api, FixedClock, config, new_api

Json = dict[str, Any]
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]

FAILED = 'Internal error occurred: failed calling webhook "h.example.com": failed to call webhook: '


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = await new_api(FixedClock())
    yield made
    made.server.stop()
    await made.close()
    await made.server.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", clock=SystemClock())


class Server:
    """An HTTPS server; `client` is how a configuration names it."""

    def __init__(self, authority: Authority, handle: Handle) -> None:
        self._authority = authority
        self._handle = handle
        self.requests: list[web.Request] = []
        self.port = 0

    async def __aenter__(self) -> "Server":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._authority.server_files)
        self._runner = web.ServerRunner(web.Server(self._handled), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._runner.cleanup()

    async def _handled(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        self.requests.append(request)  # type: ignore[arg-type]
        return await self._handle(request)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/check"

    def client(self, **changes: Any) -> Json:
        return {"url": self.url, "caBundle": bundle(self._authority), **changes}


def bundle(authority: Authority) -> str:
    return base64.b64encode(authority.certificate).decode()


def answering(answer: Callable[[Json], Json]) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.json_response(answer(json.loads(await request.read())))

    return handle


async def message(api: Api) -> str:
    status, answer = await api.send("POST", CONFIGS, config())
    assert (status, answer["reason"]) == (500, "InternalError")
    found: str = answer["message"]
    return found


async def test_a_webhook_changes_and_another_refuses(api: Api, authority: Authority) -> None:
    def refuse(review: Json) -> Json:
        labels = review["request"]["object"]["metadata"].get("labels")
        return deny(review, message=f"saw {labels}", code=403)

    async with (
        Server(authority, answering(lambda review: label(review, "by", "webhook"))) as changing,
        Server(authority, answering(refuse)) as refusing,
    ):
        await configure(api, "Mutating", hook(clientConfig=changing.client()))
        made = await api.ok("POST", CONFIGS, config("first"))
        assert made["metadata"]["labels"] == {"by": "webhook"}
        await configure(api, "Validating", hook(clientConfig=refusing.client()))
        status, answer = await api.send("POST", CONFIGS, config())
        assert (status, answer["message"]) == (
            403,
            "admission webhook \"h.example.com\" denied the request: saw {'by': 'webhook'}",
        )
        (sent,) = refusing.requests
        assert (sent.method, sent.path_qs, sent.content_type) == (
            "POST",
            "/check?timeout=10s",
            "application/json",
        )


async def test_a_service_is_named_to_the_server_and_by_its_certificate(
    api: Api, authority: Authority
) -> None:
    async with Server(authority, answering(allow)) as server:
        slice_ = {
            "metadata": {"name": "k-1", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"]}],
            "ports": [{"name": "https", "port": server.port}],
        }
        await api.ok("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
        reference = {"name": "kubernetes", "namespace": "default", "path": "/check"}
        client = {"service": reference, "caBundle": bundle(authority)}
        await configure(api, "Validating", hook(clientConfig=client))
        await api.ok("POST", CONFIGS, config("first"))
        assert server.requests[0].host == "kubernetes.default.svc:443"
        spec = {"type": "ExternalName", "externalName": "localhost"}
        await api.ok(
            "POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "other"}, "spec": spec}
        )
        client = {
            "service": reference | {"name": "other", "port": server.port},
            "caBundle": bundle(authority),
        }
        await configure(api, "Validating", hook(clientConfig=client), name="other")
        assert "tls: failed to verify certificate: x509: " in await message(api)
        assert len(server.requests) == 2


async def test_who_is_not_trusted_is_not_asked(api: Api, authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger", clock=SystemClock())
    async with Server(authority, answering(allow)) as server:
        await configure(api, "Validating", hook(clientConfig=server.client(caBundle=bundle(stranger))))
        assert await message(api) == (
            f'{FAILED}Post "{server.url}?timeout=10s": tls: failed to verify certificate: x509: certificate signed by '
            "unknown authority"
        )
        assert not server.requests


async def test_without_a_bundle_the_machines_authorities_are_trusted(api: Api, authority: Authority) -> None:
    async with Server(authority, answering(allow)) as server:
        await configure(api, "Validating", hook(clientConfig={"url": server.url}))
        assert "certificate signed by unknown authority" in await message(api)


async def test_a_bundle_that_is_none_says_so(api: Api, authority: Authority) -> None:
    async with Server(authority, answering(allow)) as server:
        nonsense = base64.b64encode(b"no certificate").decode()
        await configure(api, "Validating", hook(clientConfig=server.client(caBundle=nonsense)))
        assert await message(api) == (
            f"{FAILED}unable to load root certificates: unable to parse bytes as PEM block"
        )


async def test_nobody_there(api: Api, authority: Authority) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}/"
        await configure(api, "Validating", hook(clientConfig={"url": url, "caBundle": bundle(authority)}))
        assert await message(api) == (
            f'{FAILED}Post "{url}?timeout=10s": dial tcp {url[8:-1]}: connect: connection refused'
        )


async def test_no_tls_at_all(api: Api, authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    await configure(api, "Validating", hook(clientConfig={"url": url, "caBundle": bundle(authority)}))
    assert (await message(api)).startswith(f'{FAILED}Post "{url}?timeout=10s": ')
    server.close()


async def _gone(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _never(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def _huge(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b" " * ((3 << 20) + 1))


def _answers(status: int, text: str) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    return handle


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (
            _answers(500, 'it "broke"\n'),
            'an error on the server ("it \\"broke\\"") has prevented the request from succeeding',
        ),
        (_answers(503, ""), 'an error on the server ("unknown") has prevented the request from succeeding'),
        (_answers(404, "?"), "the server could not find the requested resource"),
        (_answers(302, "?"), "the server responded with the status code 302"),
        (_answers(200, "hello"), "couldn't get version/kind; json parse error: "),
        (_answers(200, ""), "couldn't get version/kind; json parse error: "),
        (_answers(200, "[" * 100_000), "failed to call webhook: Expected `object`, got `array`"),
        (_gone, 'Post "'),
        (_huge, "the answer is larger than 3145728 bytes"),
    ],
)
async def test_what_is_no_answer_is_one_clear_failure(
    api: Api, authority: Authority, handle: Handle, words: str
) -> None:
    async with Server(authority, handle) as server:
        await configure(api, "Validating", hook(clientConfig=server.client()))
        found = await message(api)
        assert found.startswith(FAILED)
        assert words in found


async def test_who_does_not_answer_in_time_has_failed(api: Api, authority: Authority) -> None:
    async with Server(authority, _never) as server:
        await configure(api, "Validating", hook(clientConfig=server.client(), timeoutSeconds=1))
        assert await message(api) == f'{FAILED}Post "{server.url}?timeout=1s": context deadline exceeded'
