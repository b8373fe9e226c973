"""What a request for pods/exec or pods/attach asks for, and the answer until the connection is another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.emulator import statuses
from aliquot.emulator.admission.types import Operation
from aliquot.emulator.audit.recording import Record
from aliquot.emulator.http.exchange import Message, Receive, Scope, Send
from aliquot.emulator.objects import Json
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.storage import Storage
from aliquot.emulator.streaming import channels, terminal
from aliquot.emulator.streaming.channels import Protocol
from aliquot.emulator.streaming.session import Execution, Kubelets, SessionRefused, Start
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.subresources import choose_container
from aliquot.emulator.verbs.writing import Writer

SUBRESOURCES = ("exec", "attach")
WEBSOCKET = "websocket"
_STREAMS = ("stdin", "stdout", "stderr", "tty")
_KINDS = {"exec": "PodExecOptions", "attach": "PodAttachOptions"}


@dataclass(frozen=True, slots=True)
class Offer:
    """How the client would have the connection changed."""

    upgrade: str
    """`websocket`; empty when it asks for nothing of the kind."""
    protocols: Sequence[str] = ()


def method(scope: Scope) -> str:
    """A WebSocket begins as a GET."""
    return str(scope.get("method", "GET"))


def offer(scope: Scope, headers: Mapping[bytes, bytes]) -> Offer:
    if scope["type"] == WEBSOCKET:
        return Offer(WEBSOCKET, tuple(scope["subprotocols"]))
    return Offer(headers.get(b"upgrade", b"").decode("latin-1"))


@dataclass(frozen=True, slots=True)
class Joined:
    """All is well: the connection may be accepted, and the session started."""

    start: Start
    protocol: Protocol


async def answer(
    call: Call, offered: Offer, storage: Storage, writer: Writer, kubelets: Kubelets | None
) -> Joined:
    """Raises StatusError."""
    query, kind = call.request.query, call.request.subresource
    asked = {name: query.flag(name) for name in _STREAMS}
    command = tuple(query.texts("command"))
    pod = storage.must_find(call.served, call.namespace, call.name).obj
    container = choose_container(call, pod)
    options: Json = {
        "kind": _KINDS[kind],
        "apiVersion": "v1",
        **{name: True for name, wanted in asked.items() if wanted},
        "container": container,
        **({"command": list(command)} if command else {}),
    }
    await writer.admit(call, options, Operation.CONNECT)
    if not (pod.get("spec") or {}).get("nodeName"):
        raise statuses.bad_request(f"pod {call.name} does not have a host assigned")
    try:
        if kubelets is None:
            raise SessionRefused(500, "no kubelet can be asked")
        if not any(asked[name] for name in ("stdin", "stdout", "stderr")):
            raise SessionRefused(400, "you must specify at least 1 of stdin, stdout, stderr")
        if kind == "exec":
            start = await kubelets.exec(pod, container, Execution(command, asked["stdin"], asked["tty"]))
        else:
            start = await kubelets.attach(pod, container, stdin=asked["stdin"])
    except SessionRefused as refused:
        raise StatusError(
            statuses.failure(refused.code, "", str(refused)).status, f"{refused}\n"
        ) from refused
    return Joined(start, _protocol(offered))


def _protocol(offered: Offer) -> Protocol:
    """Raises StatusError."""
    if not offered.upgrade:
        raise statuses.bad_request("Upgrade request required")
    if offered.upgrade != WEBSOCKET:
        raise statuses.bad_request(
            f"{offered.upgrade} is not spoken here: exec and attach take a WebSocket, as kubectl does since 1.31"
        )
    found = channels.choose(offered.protocols)
    if found is None:
        known = ", ".join(one.name for one in channels.PROTOCOLS)
        raise statuses.bad_request(f"none of the offered subprotocols is known here; there are {known}")
    return found


async def send_session(joined: Joined, receive: Receive, send: Send, record: Record | None) -> None:
    if record is not None:
        record.started(101)
    try:
        await terminal.join(joined.start, joined.protocol, receive, send)
    except Exception as error:
        if record is not None:
            record.panicked(error)
        raise
    if record is not None:
        record.completed(101)


def refusing(send: Send) -> Send:
    """A WebSocket that is not accepted is answered as any other request."""

    async def refuse(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return refuse
