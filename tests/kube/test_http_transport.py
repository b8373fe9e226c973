"""The client over real sockets, against a small scripted server on loopback."""

import asyncio
import datetime
import json
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aliquot.clock import SystemClock
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.http_transport import HttpTransport
from aliquot.kube.kubeconfig import Connection
from aliquot.kube.resources import PODS, key
from aliquot.kube.retry import RetryPolicy
from aliquot.kube.watching import Bookmark, WatchEvent

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

QUICK = RetryPolicy(first_delay_s=0.001, max_delay_s=0.01)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server that answers everything by `handler`."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client_to(handler: Handler, **options: Any) -> AsyncIterator[Client]:
    async with serving(handler) as address:
        client = Client(
            HttpTransport(address), clock=SystemClock(), rng=random.Random(1), retry=QUICK, **options
        )
        try:
            yield client
        finally:
            await client.close()


def pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "resourceVersion": str(version)}}


def line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def status(code: int, reason: str, message: str = "no", **details: Any) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return web.json_response(body, status=code)


class Script:
    """Answers in turn; the last one for ever."""

    def __init__(self, *answers: Handler | web.Response) -> None:
        self.answers = answers
        self.requests: list[web.BaseRequest] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        return answer if isinstance(answer, web.Response) else await answer(request)


def streaming(*pieces: bytes, cut: bool = False, pause_s: float = 0.0, hang: bool = False) -> Handler:
    """A 200 that sends `pieces`; then ends well, is cut off, or says nothing more."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(pause_s)
        if hang:
            await asyncio.sleep(60)
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    return handler


async def test_get() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.path == "/api/v1/namespaces/default/pods/a"
        return web.json_response(pod("a", 1))

    async with client_to(handler) as client:
        assert (await client.get(PODS, "a", "default", into=Pod)).metadata.name == "a"


async def test_bodies_and_content_types_arrive() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        assert request.query == {"fieldManager": "me"}
        return web.json_response(await request.json())

    async with client_to(handler) as client:
        answer = await client.apply(PODS, pod("a", 1), field_manager="me")
        assert answer["kind"] == "Pod"


async def test_retry_after_of_a_429_is_honoured() -> None:
    throttled = web.json_response({"code": 429, "message": "slow"}, status=429, headers={"Retry-After": "1"})
    script = Script(throttled, web.json_response(pod("a", 1)))
    async with client_to(script) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await client.get(PODS, "a", "default")
        assert loop.time() - began >= 1.0
        assert len(script.requests) == 2


async def test_a_5xx_is_repeated_within_reason() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        requests.append(request)
        return web.Response(status=502, text="bad gateway")

    requests: list[web.BaseRequest] = []
    async with client_to(handler) as client:
        with pytest.raises(errors.Unavailable, match="HTTP 502: bad gateway"):
            await client.get(PODS, "a", "default")
        assert len(requests) == QUICK.attempts


async def test_a_connection_cut_in_the_answer_is_repeated() -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"metadata"')
        assert request.transport is not None
        request.transport.abort()
        return response

    script = Script(cut, web.json_response(pod("a", 1)))
    async with client_to(script) as client:
        await client.get(PODS, "a", "default")
        assert len(script.requests) == 2


async def test_a_server_that_is_not_there_is_named() -> None:
    async with serving(Script(web.Response())) as address:
        pass
    transport = HttpTransport(address)
    client = Client(transport, clock=SystemClock(), rng=random.Random(1), retry=QUICK)
    with pytest.raises(errors.Unavailable, match=f"cannot connect to {address}"):
        # Not even delivered, so that a create is repeated too.
        await client.create(PODS, pod("a", 1))
    await client.close()


async def test_a_slow_server_is_given_up_at_the_deadline() -> None:
    async with client_to(streaming(hang=True), timeout_s=0.2) as client:
        with pytest.raises(errors.Unavailable, match=r"no answer within 0\.2 s"):
            await client.get(PODS, "a", "default")


async def events_of(client: Client, **options: Any) -> tuple[list[Any], errors.ApiError | None]:
    """Everything a watch yields, and how it ended."""
    seen: list[Any] = []
    try:
        async with aclosing(client.watch(PODS, into=Pod, **options)) as stream:
            async for event in stream:
                seen.append(event)  # noqa: PERF401 - what came before an error counts
    except errors.ApiError as error:
        return seen, error
    return seen, None


async def test_a_watch_yields_events_and_bookmarks_until_the_server_ends_it() -> None:
    pieces = line("ADDED", pod("a", 1)), line("BOOKMARK", pod("", 5)), line("DELETED", pod("a", 6))
    async with client_to(streaming(*pieces)) as client:
        seen, error = await events_of(client)
        assert error is None
        kinds = [(event.type.value, event.resource_version) for event in seen]
        assert kinds == [("ADDED", "1"), ("BOOKMARK", "5"), ("DELETED", "6")]


async def test_events_cut_into_pieces_are_put_together() -> None:
    text = line("ADDED", pod("a", 1)) + line("ADDED", pod("b", 2))
    pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
    async with client_to(streaming(*pieces, pause_s=0.001)) as client:
        seen, error = await events_of(client)
        assert error is None
        assert [event.object.metadata.name for event in seen] == ["a", "b"]


async def test_eof_in_the_middle_of_an_event_is_an_end_without_it() -> None:
    async with client_to(streaming(line("ADDED", pod("a", 1)), line("ADDED", pod("b", 2))[:20])) as client:
        seen, error = await events_of(client)
        assert error is None
        assert len(seen) == 1


async def test_a_connection_cut_during_a_watch_is_unavailable() -> None:
    async with client_to(streaming(line("ADDED", pod("a", 1)), pause_s=0.05, cut=True)) as client:
        seen, error = await events_of(client)
        assert len(seen) == 1
        assert isinstance(error, errors.Unavailable)


async def test_410_before_and_inside_a_watch_is_gone() -> None:
    inside = line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    for answer in (status(410, "Expired"), streaming(inside)):
        async with client_to(Script(answer)) as client:
            _, error = await events_of(client, resource_version="1")
            assert isinstance(error, errors.Gone)


async def test_a_dead_connection_is_given_up_after_the_watchs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aliquot.kube.client._WATCH_GRACE_S", 0.1)
    async with client_to(streaming(line("ADDED", pod("a", 1)), hang=True)) as client:
        seen, error = await events_of(client, timeout_s=0.1)
        assert len(seen) == 1
        assert isinstance(error, errors.Unavailable)


async def test_a_watch_that_is_left_is_disconnected() -> None:
    left = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(line("ADDED", pod("a", 1)))
                await asyncio.sleep(0.001)
        except (ConnectionError, asyncio.CancelledError):
            left.set()
            raise

    async with client_to(handler) as client:
        async with aclosing(client.watch(PODS, into=Pod)) as stream:
            event = await anext(stream)
            assert isinstance(event, WatchEvent) and not isinstance(event, Bookmark)
        async with asyncio.timeout(5):
            await left.wait()


async def test_a_cache_follows_through_410_eof_and_cuts() -> None:
    listing = {"metadata": {"resourceVersion": "10"}, "items": [pod("a", 1), pod("b", 2)]}
    relisting = {"metadata": {"resourceVersion": "20"}, "items": [pod("b", 2), pod("c", 15)]}
    gone = line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    script = Script(
        status(422, "Invalid"),
        web.json_response(listing),
        streaming(line("MODIFIED", pod("a", 11)), line("MODIFIED", pod("b", 12))[:30]),
        streaming(line("ADDED", pod("d", 12)), pause_s=0.02, cut=True),
        streaming(gone),
        web.json_response(relisting),
        streaming(line("ADDED", pod("e", 21)), hang=True),
    )
    async with client_to(script) as client:
        cache = Cache(client, PODS, Pod)
        calls: list[tuple[str, str]] = []
        arrived = asyncio.Event()

        def subscriber(old: Pod | None, new: Pod | None) -> None:
            obj = new or old
            assert obj is not None
            calls.append(("-" if new is None else "+" if old is None else "~", obj.metadata.name))
            if obj.metadata.name == "e":
                arrived.set()

        cache.subscribe(subscriber)
        task = asyncio.create_task(cache.run())
        async with asyncio.timeout(10):
            await arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert calls == [
            ("+", "a"),
            ("+", "b"),
            ("~", "a"),
            ("+", "d"),
            ("-", "a"),
            ("-", "d"),
            ("+", "c"),
            ("+", "e"),
        ]
        assert [key(obj) for obj in cache.values()] == ["default/b", "default/c", "default/e"]
        resumed = [
            request.query.get("resourceVersion") for request in script.requests if "watch" in request.query
        ]
        assert resumed == [None, "10", "11", "12", "20"]


async def test_a_rotated_token_is_used_at_once(tmp_path: Path) -> None:
    tokens: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        tokens.append(request.headers["Authorization"])
        return web.json_response(pod("a", 1))

    file = tmp_path / "token"
    file.write_text("one\n")
    async with serving(handler) as address:
        client = Client(
            Connection(server=address, token_file=file).transport(), clock=SystemClock(), rng=random.Random(1)
        )
        await client.get(PODS, "a", "default")
        replacement = tmp_path / "new"
        replacement.write_text("two\n")
        replacement.rename(file)
        await client.get(PODS, "a", "default")
        await client.close()
    assert tokens == ["Bearer one", "Bearer two"]


def issue(name: str, tmp_path: Path, *, address: str = "") -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    )
    builder = (
        builder.serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=9999))
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(address or name)]), critical=False
    )
    certificate_file, key_file = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
    pem = serialization.Encoding.PEM
    certificate_file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@pytest.mark.parametrize(
    ("trusted", "server_name", "outcome"),
    [
        ("server", "kubernetes", "me"),
        ("server", "", "certificate of .* is not trusted: .*IP address mismatch"),
        ("me", "kubernetes", "certificate of .* is not trusted: self-signed certificate"),
    ],
)
async def test_certificates_of_both_sides(
    tmp_path: Path, trusted: str, server_name: str, outcome: str
) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert")
        return web.json_response({"subject": peer["subject"][0][0][1]})

    server_files, my_files = issue("server", tmp_path, address="kubernetes"), issue("me", tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=my_files[0])
    tls.load_cert_chain(*server_files)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with serving(handler, tls) as address:
        connection = Connection(
            server=address,
            ca=(tmp_path / f"{trusted}.crt").read_bytes(),
            server_name=server_name,
            client_certificate=my_files[0].read_bytes(),
            client_key=my_files[1].read_bytes(),
        )
        client = Client(connection.transport(), clock=SystemClock(), rng=random.Random(1), retry=QUICK)
        if outcome == "me":
            assert json.loads(await client.get_raw("/")) == {"subject": "me"}
        else:
            with pytest.raises(errors.Unavailable, match=outcome):
                await client.get_raw("/")
        await client.close()


async def test_a_path_prefix_of_the_server_is_kept() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.json_response({"path": request.path})

    async with serving(handler) as address:
        client = Client(HttpTransport(f"{address}/k8s/c1/"), clock=SystemClock(), rng=random.Random(1))
        assert json.loads(await client.get_raw("/version")) == {"path": "/k8s/c1/version"}
        await client.close()
