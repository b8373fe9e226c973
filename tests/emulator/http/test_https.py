"""Over real sockets: certificates, tokens, ports, ends, and the death of the process."""

import asyncio
import json
import random
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority, KeyPair
from aliquot.emulator.server import HttpsServer, ServerError, write_kubeconfig
from aliquot.emulator.storage.store import Store

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


@asynccontextmanager
async def session_of(
    url: str, authority: bytes, tmp_path: Path, pair: KeyPair | None
) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cadata=authority.decode())
    if pair is not None:
        (tmp_path / "client.pem").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(tmp_path / "client.pem")
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        yield session


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", clock=SystemClock())


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[HttpsServer]:
    api = ApiServer(
        Store(),
        clock=SystemClock(),
        rng=random.Random(1),
        token_key=authority.token_key,
        client_authority=authority.for_clients,
    )
    await api.start()
    async with HttpsServer(api, authority) as server:
        yield server


async def test_a_client_certificate_says_who_asks(
    server: HttpsServer, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.client("ada", ["system:masters", "dev"])
    async with session_of(server.url, authority.certificate, tmp_path, pair) as session:
        for _ in range(2):
            async with session.post(REVIEWS, json=REVIEW) as response:
                user = (await response.json())["status"]["userInfo"]
        assert user["username"] == "ada"
        assert sorted(user["groups"]) == ["dev", "system:authenticated", "system:masters"]
        fingerprint = x509.load_pem_x509_certificate(pair.certificate).fingerprint(SHA256()).hex()
        assert user["extra"] == {"authentication.kubernetes.io/credential-id": [f"X509SHA256={fingerprint}"]}


async def test_a_client_certificate_says_who_asks_over_a_websocket_too(
    server: HttpsServer, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.client("ada", ["dev"])
    async with session_of(server.url, authority.certificate, tmp_path, pair) as session:
        url = "/api/v1/namespaces/default/pods/p/exec"
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        }
        async with session.get(url, headers=upgrade) as response:
            assert response.status == 403
            assert 'User "ada" cannot get resource "pods/exec"' in (await response.json())["message"]


async def test_without_a_certificate_one_is_nobody(
    server: HttpsServer, authority: Authority, tmp_path: Path
) -> None:
    async with session_of(server.url, authority.certificate, tmp_path, None) as session:
        async with session.get("/healthz") as response:
            assert response.status == 200
            assert len(response.headers.getall("date")) == 1
        async with session.get("/api/v1/pods") as response:
            assert response.status == 403
        async with session.get("/healthz", headers={"authorization": "Bearer expired"}) as response:
            assert (response.status, (await response.json())["reason"]) == (401, "Unauthorized")


async def test_a_certificate_of_another_authority_is_refused(
    server: HttpsServer, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other", clock=SystemClock()).client("eve", ["system:masters"])
    async with session_of(server.url, authority.certificate, tmp_path, stranger) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get("/healthz")


async def test_a_taken_port_is_one_clear_line(server: HttpsServer, authority: Authority) -> None:
    api = ApiServer(Store(), clock=SystemClock(), rng=random.Random(1))
    with pytest.raises(ServerError) as caught:
        HttpsServer(api, authority, port=server.port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{server.port}: Address already in use; choose another port, or 0 for a free one"
    )


async def test_the_end_of_the_server_ends_watches_cleanly(authority: Authority, tmp_path: Path) -> None:
    api = ApiServer(
        Store(), clock=SystemClock(), rng=random.Random(1), client_authority=authority.for_clients
    )
    await api.start()
    pair = authority.client("ada", ["system:masters"])
    async with HttpsServer(api, authority) as server:
        client = session_of(server.url, authority.certificate, tmp_path, pair)
        session = await client.__aenter__()
        watch = await session.get("/api/v1/namespaces", params={"watch": "true"})
        first = json.loads(await watch.content.readline())
        assert first["type"] == "ADDED"
    assert b"ERROR" not in await watch.content.read()
    await client.__aexit__(None, None, None)


async def test_a_kubeconfig_is_for_its_owner_alone(tmp_path: Path, authority: Authority) -> None:
    path = tmp_path / "kubeconfig"
    pair = authority.client("ada")
    write_kubeconfig(
        path, url="https://127.0.0.1:1", authority=authority.certificate, user="ada", client=pair
    )
    assert path.stat().st_mode & 0o077 == 0
    written = yaml.safe_load(path.read_text())
    assert written["current-context"] == "aliquot"
    assert written["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"


class Process:
    """An API server in a process of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.emulator.serve", str(self._directory), stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            self.url = (await self._process.stdout.readline()).decode().strip()
        assert self.url

    async def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        async with asyncio.timeout(30):
            return await self._process.wait()
