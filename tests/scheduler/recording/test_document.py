"""A file that is no recorded cycle, or not one that can be read here, is refused in one line."""

import gzip

import msgspec
import pytest
from msgspec.structs import replace

from aliquot import __version__
from aliquot.scheduler.recording import document
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import FORMAT, Unreadable, decoded, encoded
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.testing import node
from tests.scheduler.worlds import Cluster

EMPTY = Cluster({"x": 1})
GOOD = encoded(captured(Case(EMPTY.snapshot, EMPTY.pending, EMPTY.rankings)))


def packed(**fields: object) -> bytes:
    return gzip.compress(msgspec.msgpack.encode(fields), mtime=0)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is no recorded cycle"),
        (b"text", "it is no recorded cycle: Not a gzipped file (b'te')"),
        (GOOD[:-20], "it is no recorded cycle: "),
        (gzip.compress(b"text", mtime=0), "it is no recorded cycle: "),
        (packed(format="other", version=1), "it is no recorded cycle"),
        (
            packed(format=FORMAT, version=7, aliquot="9.9"),
            f"it was recorded by aliquot 9.9 as version 7 of the format, and this aliquot ({__version__}) reads version 1",
        ),
        (packed(format=FORMAT, version=1), "it is damaged: Object missing required field"),
    ],
)
def test_what_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(Unreadable) as error:
        decoded(data)
    assert str(error.value).startswith(told)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["shapes", "counts", "classes"])
def test_parts_that_others_refer_to_and_that_are_gone(part: str) -> None:
    cluster = Cluster([node("x", "whole")])
    cluster.wait("p")
    recording = captured(Case(cluster.snapshot, cluster.pending, cluster.rankings))
    assert getattr(recording, part)
    with pytest.raises(Unreadable, match=r"^it is damaged, its parts do not fit together: .+"):
        restored(replace(recording, **{part: ()}))


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_LARGEST", 16)
    with pytest.raises(Unreadable, match="larger than"):
        decoded(GOOD)


def test_the_same_is_the_same_file() -> None:
    assert encoded(decoded(GOOD)) == GOOD
