import json

import pytest

from aliquot.emulator.streaming import channels
from aliquot.emulator.streaming.channels import Channel, Size

V5, V4, TEXT = channels.PROTOCOLS


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v5.channel.k8s.io"], V5),
        (["v4.channel.k8s.io", "v5.channel.k8s.io"], V5),
        (["v4.base64.channel.k8s.io", "v4.channel.k8s.io"], V4),
        (["v4.base64.channel.k8s.io"], TEXT),
        (["SPDY/3.1+portforward.k8s.io"], None),
        ([], None),
    ],
)
def test_the_best_subprotocol_that_both_speak(offered: list[str], chosen: channels.Protocol | None) -> None:
    assert channels.choose(offered) is chosen


@pytest.mark.parametrize(("protocol", "message"), [(V5, b"\x01hi"), (V4, b"\x01hi"), (TEXT, "1aGk=")])
def test_a_message_says_which_stream_it_belongs_to(protocol: channels.Protocol, message: str | bytes) -> None:
    assert protocol.encode(Channel.STDOUT, b"hi") == message
    assert protocol.decode(message) == (Channel.STDOUT, b"hi")


@pytest.mark.parametrize(
    ("protocol", "message"),
    [(V5, b""), (V5, b"\x09hi"), (V4, b"\xff\x00"), (TEXT, "0???"), (TEXT, "x")],
)
def test_what_means_nothing_is_passed_over(protocol: channels.Protocol, message: str | bytes) -> None:
    assert protocol.decode(message) is None


def test_the_newest_alone_can_say_that_the_input_is_at_its_end() -> None:
    assert V5.decode(b"\xff\x00") == (Channel.CLOSE, b"\x00")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"Width":80,"Height":24}', Size(80, 24)),
        (b'{"Width":0,"Height":24}', None),
        (b'{"Width":80}', None),
        (b'{"Width":99999,"Height":1}', None),
        (b"80x24", None),
        (b"[]", None),
    ],
)
def test_the_size_of_a_terminal(data: bytes, told: Size | None) -> None:
    assert channels.size(data) == told


def test_how_it_ended() -> None:
    assert json.loads(channels.ending(0))["status"] == "Success"
    failed = json.loads(channels.ending(3))
    assert failed["reason"] == "NonZeroExitCode"
    assert failed["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert json.loads(channels.failure("no such file"))["message"] == "Internal error occurred: no such file"
