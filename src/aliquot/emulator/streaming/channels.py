"""How the streams of a session share one WebSocket: the first byte of a message says which stream it belongs to.

`v5.channel.k8s.io` is kubectl's: it alone can say that the input is at its end. `v4.channel.k8s.io` is that of client
libraries; with `base64.` in its name everything is text, for browsers. Pure.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec


class Channel(IntEnum):
    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    """Once, at the end: how it ended, as a Status."""
    RESIZE = 4
    CLOSE = 255
    """What follows is the number of a channel on which nothing more will come."""


@dataclass(frozen=True, slots=True)
class Protocol:
    name: str
    text: bool = False
    closes: bool = False
    """Whether there is a CLOSE."""

    def encode(self, channel: Channel, data: bytes) -> str | bytes:
        if self.text:
            return f"{channel:d}{base64.b64encode(data).decode()}"
        return bytes([channel]) + data

    def decode(self, message: str | bytes) -> tuple[Channel, bytes] | None:
        """None for what means nothing, which is passed over."""
        raw = message.encode() if isinstance(message, str) else message
        if not raw:
            return None
        number, data = raw[0], raw[1:]
        try:
            if self.text:
                number, data = int(raw[:1]), base64.b64decode(data, validate=True)
            channel = Channel(number)
        except (ValueError, binascii.Error):
            return None
        return None if channel is Channel.CLOSE and not self.closes else (channel, data)


PROTOCOLS = (
    Protocol("v5.channel.k8s.io", closes=True),
    Protocol("v4.channel.k8s.io"),
    Protocol("v4.base64.channel.k8s.io", text=True),
)


def choose(offered: Sequence[str]) -> Protocol | None:
    """The best of what the client speaks."""
    return next((one for one in PROTOCOLS if one.name in offered), None)


@dataclass(frozen=True, slots=True)
class Size:
    columns: int
    rows: int


def size(data: bytes) -> Size | None:
    """What came on RESIZE."""
    try:
        told = msgspec.json.decode(data)
        found = Size(int(told["Width"]), int(told["Height"]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None
    return found if 0 < found.columns < 1 << 16 and 0 < found.rows < 1 << 16 else None


def ending(exit_code: int) -> bytes:
    """For ERROR, of a command that ran."""
    if exit_code == 0:
        return _status({"status": "Success"})
    return _status(
        {
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {exit_code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
        }
    )


def failure(why: str) -> bytes:
    """For ERROR, of a command that could not be run."""
    return _status(
        {
            "status": "Failure",
            "message": f"Internal error occurred: {why}",
            "reason": "InternalError",
            "details": {"causes": [{"message": why}]},
            "code": 500,
        }
    )


def _status(told: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"metadata": {}, **told})
