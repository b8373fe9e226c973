"""exec and attach, from the request to the end of the session, with a kubelet that runs nothing."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest

from aliquot.emulator.streaming.session import CannotExecute, Execution, Output, SessionRefused, Start
from aliquot.emulator.versions import Surface
from aliquot.kube.asgi_transport import IDENTITY
from tests.emulator.api import PODS, Api, FixedClock, Json, new_api, pod

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
V5 = ("v5.channel.k8s.io",)
"""What kubectl offers."""


class Echo:
    """A command that says hello, then in capitals what it is told until that ends, and leaves with 3."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.size = (0, 0)
        self.left = asyncio.Event()

    async def output(self) -> AsyncGenerator[tuple[Output, bytes], None]:
        yield Output.STDERR, b"hello"
        while (data := await self.told.get()) is not None:
            yield Output.STDOUT, data.upper()

    async def write(self, data: bytes) -> None:
        self.told.put_nowait(data)

    def close_input(self) -> None:
        self.told.put_nowait(None)

    def resize(self, columns: int, rows: int) -> None:
        self.size = (columns, rows)

    async def ended(self) -> int:
        return 3

    async def leave(self) -> None:
        self.left.set()


class Kubelet:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Execution | None]] = []
        self.session = Echo()

    async def exec(self, asked: Mapping[str, Any], container: str, execution: Execution) -> Start:
        self.asked.append((container, execution))
        if execution.command == ("refused",):
            raise SessionRefused(404, f'container not found ("{container}")')

        async def start() -> Echo:
            if execution.command == ("nonsense",):
                raise CannotExecute('exec: "nonsense": executable file not found in $PATH')
            return self.session

        return start

    async def attach(self, asked: Mapping[str, Any], container: str, *, stdin: bool) -> Start:
        self.asked.append((container, None))

        async def start() -> Echo:
            return self.session

        return start


class Client:
    """The near end of a WebSocket."""

    def __init__(self, api: Api, path: str, protocols: Sequence[str], user: str, query: Any) -> None:
        self._to: asyncio.Queue[Json] = asyncio.Queue()
        self._from: asyncio.Queue[Json] = asyncio.Queue()
        groups = ["system:masters"] if user == "admin" else []
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": urlencode(query, doseq=True).encode(),
            "headers": [(b"connection", b"upgrade"), (b"upgrade", b"websocket")],
            "subprotocols": list(protocols),
            "extensions": {IDENTITY: {"user": user, "groups": groups}},
        }
        self._to.put_nowait({"type": "websocket.connect"})

        async def send(message: Any) -> None:
            self._from.put_nowait(dict(message))

        self._serving = asyncio.create_task(api.server.app(scope, self._to.get, send))

    async def next(self) -> Json:
        return await self._from.get()

    def say(self, data: bytes) -> None:
        self._to.put_nowait({"type": "websocket.receive", "bytes": data})

    def go(self) -> None:
        self._to.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def over(self) -> None:
        await self._serving


@pytest.fixture
def kubelet() -> Kubelet:
    return Kubelet()


@pytest.fixture
async def api(clock: FixedClock, kubelet: Kubelet) -> AsyncIterator[Api]:
    api = await new_api(clock, kubelets=kubelet)
    await api.ok("POST", PODS, pod(nodeName="n1"))
    yield api
    await api.close()


def connect(
    api: Api,
    what: str = "exec",
    *,
    protocols: Sequence[str] = V5,
    user: str = "admin",
    name: str = "p",
    **query: Any,
) -> Client:
    asked = {"command": ["echo", "a b"], "stdin": "true", "stdout": "true", "stderr": "true", **query}
    return Client(api, f"{PODS}/{name}/{what}", protocols, user, asked)


async def refused(client: Client) -> tuple[int, str]:
    """(status, what is read)"""
    started, body = await client.next(), await client.next()
    await client.over()
    assert (started["type"], body["type"]) == (
        "websocket.http.response.start",
        "websocket.http.response.body",
    )
    text: str = body["body"].decode()
    return started["status"], json.loads(text)["message"] if text.startswith("{") else text


async def test_a_session_from_its_first_word_to_its_exit_code(api: Api, kubelet: Kubelet) -> None:
    client = connect(api, tty="true")
    assert await client.next() == {"type": "websocket.accept", "subprotocol": "v5.channel.k8s.io"}
    assert (await client.next())["bytes"] == b"\x02hello"
    client.say(b'\x04{"Width":80,"Height":24}')
    client.say(b"\x00hi")
    assert (await client.next())["bytes"] == b"\x01HI"
    client.say(b"\xff\x00")
    status = (await client.next())["bytes"]
    assert status[:1] == b"\x03"
    assert json.loads(status[1:])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert await client.next() == {"type": "websocket.close", "code": 1000}
    await client.over()
    assert kubelet.asked == [("main", Execution(("echo", "a b"), stdin=True, tty=True))]
    assert kubelet.session.size == (80, 24)
    assert kubelet.session.left.is_set()


async def test_attach_runs_nothing(api: Api, kubelet: Kubelet) -> None:
    client = connect(api, "attach", protocols=("v4.channel.k8s.io",))
    assert (await client.next())["subprotocol"] == "v4.channel.k8s.io"
    client.go()
    await client.over()
    assert kubelet.asked == [("main", None)]


async def test_who_goes_ends_the_session(api: Api, kubelet: Kubelet) -> None:
    client = connect(api)
    await client.next()
    client.go()
    await client.over()
    assert kubelet.session.left.is_set()


async def test_a_command_that_cannot_be_started_is_told_of_at_the_end(api: Api) -> None:
    client = connect(api, command="nonsense")
    await client.next()
    status = json.loads((await client.next())["bytes"][1:])
    assert status["message"] == (
        "Internal error occurred: error executing command in container: "
        'exec: "nonsense": executable file not found in $PATH'
    )
    assert (await client.next())["type"] == "websocket.close"
    await client.over()


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"name": "q"}, 404, 'pods "q" not found'),
        ({"container": "other"}, 400, "container other is not valid for pod p"),
        ({"command": "refused"}, 404, 'container not found ("main")\n'),
        (
            {"stdout": "false", "stderr": "0"},
            400,
            "you must specify at least 1 of stdin, stdout, stderr\n",
        ),
        (
            {"protocols": ("channel.k8s.io",)},
            400,
            "none of the offered subprotocols is known here; there are ",
        ),
        ({"user": "eve"}, 403, 'pods "p" is forbidden: User "eve" cannot get resource "pods/exec"'),
        ({"what": "log"}, 400, "only pods/exec and pods/attach are served over a WebSocket"),
    ],
)
async def test_what_may_not_be_is_answered_as_a_request(
    api: Api, asked: dict[str, Any], status: int, words: str
) -> None:
    answered, text = await refused(connect(api, **{"stdin": "false", **asked}))
    assert answered == status
    assert text.startswith(words)


async def test_a_pod_without_a_node_has_nobody_to_ask(api: Api) -> None:
    await api.ok("POST", PODS, pod("q"))
    assert await refused(connect(api, name="q")) == (400, "pod q does not have a host assigned")


@pytest.mark.parametrize(("version", "status"), [("1.34", 404), ("1.35", 403)])
async def test_since_1_35_a_get_alone_does_not_run_commands(
    clock: FixedClock, kubelet: Kubelet, version: str, status: int
) -> None:
    api = await new_api(clock, kubelets=kubelet, surface=Surface(version))
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}
    await api.ok("POST", BINDINGS.replace("bindings", "s"), {**role, "rules": [rule]})
    binding = {**role, "kind": "ClusterRoleBinding", "subjects": [{"kind": "User", "name": "eve"}]}
    named = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    await api.ok("POST", BINDINGS, {**binding, "roleRef": named})
    assert (await refused(connect(api, user="eve")))[0] == status
    await api.close()


@pytest.mark.parametrize(
    ("method", "headers", "words"),
    [
        ("GET", {}, "Upgrade request required"),
        ("POST", {}, "Upgrade request required"),
        ("POST", {"upgrade": "SPDY/3.1"}, "SPDY/3.1 is not spoken here"),
    ],
)
async def test_a_connection_that_stays_what_it_is(
    api: Api, method: str, headers: dict[str, str], words: str
) -> None:
    status, answer = await api.send(method, f"{PODS}/p/exec", headers=headers, command="ls", stdout="true")
    assert status == 400
    assert answer["message"].startswith(words)


async def test_without_kubelets_nobody_can_be_asked(clock: FixedClock) -> None:
    api = await new_api(clock)
    await api.ok("POST", PODS, pod(nodeName="n1"))
    assert await refused(connect(api)) == (500, "no kubelet can be asked\n")
    await api.close()
