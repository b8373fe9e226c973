"""Bytes into events: however they are cut, and whatever the server says in the middle."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.decoding import Unreadable
from aliquot.kube.watching import Bookmark, EventType, LineSplitter, WatchEvent, events


def line(kind: str, obj: Any) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


@given(st.lists(st.binary().map(lambda text: text.replace(b"\n", b" ")), max_size=8), st.data())
def test_lines_come_out_as_they_went_in_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(text + b"\n" for text in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    splitter = LineSplitter()
    out = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += splitter.feed(stream[start:end])
    assert out == lines


def test_a_line_without_its_end_is_none() -> None:
    assert LineSplitter().feed(b'{"type":"ADDED","object":{}}') == []


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
def test_changes(kind: str) -> None:
    obj = {"metadata": {"name": "a", "resourceVersion": "7"}}
    (event,) = events([line(kind, obj)], Pod)
    assert isinstance(event, WatchEvent)
    assert (event.type, event.object.metadata.name, event.resource_version) == (EventType(kind), "a", "7")


@pytest.mark.parametrize(
    ("annotations", "ends"),
    [
        ({}, False),
        ({"k8s.io/initial-events-end": "true"}, True),
        ({"k8s.io/initial-events-end": "false"}, False),
    ],
)
def test_bookmarks(annotations: dict[str, str], ends: bool) -> None:
    obj = {
        "kind": "Pod",
        "metadata": {"resourceVersion": "9", "annotations": annotations},
        "spec": {"containers": None},
    }
    assert list(events([line("BOOKMARK", obj)], Pod)) == [Bookmark("9", ends)]


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (410, "Expired", errors.Gone),
        (410, "Gone", errors.Gone),
        (500, "InternalError", errors.Unavailable),
        (403, "", errors.Forbidden),
    ],
)
def test_an_error_inside_the_stream_is_raised(code: int, reason: str, kind: type[errors.ApiError]) -> None:
    status = {"kind": "Status", "code": code, "reason": reason, "message": "sorry"}
    with pytest.raises(kind, match="sorry"):
        list(events([line("ERROR", status)], Pod))


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"{}", b'{"type":"NEWS","object":{}}', b'{"type":"ADDED","object":[]}']
)
def test_what_is_no_event_breaks_the_watch(text: bytes) -> None:
    with pytest.raises(errors.Unavailable):
        list(events([text], Pod))


def test_blank_lines_are_skipped() -> None:
    assert list(events([b"", b"  ", b"\r"], Pod)) == []


def test_an_object_of_another_shape_is_named() -> None:
    obj = {"metadata": {"name": "a", "namespace": "ns", "resourceVersion": "3"}, "spec": {"nodeName": 5}}
    (event,) = events([line("ADDED", obj)], Pod)
    assert isinstance(event, Unreadable)
    assert (event.key, event.resource_version) == ("ns/a", "3")
    assert "spec.nodeName" in event.reason
