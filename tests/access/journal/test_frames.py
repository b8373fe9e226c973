from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.journal import frames
from aliquot.access.journal.frames import HEAD_BYTES, MOST_PAYLOAD_BYTES, read

KEY = b"k" * 32
PAYLOADS = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6)
ROOM = st.integers(0, 2000)


def written(payloads: list[bytes], *, salt: bytes = b"s" * 16, key: bytes = KEY) -> bytes:
    data = frames.head(salt)
    link = frames.first_link(key, data)
    for payload in payloads:
        link = frames.next_link(key, link, payload)
        data += frames.frame(link, payload)
    return data


@given(PAYLOADS, ROOM)
def test_what_was_written_is_read(payloads: list[bytes], room: int) -> None:
    data = written(payloads)
    found = read(data + bytes(room), KEY)
    assert list(found.payloads) == payloads
    assert (found.damage, found.end) == ("", len(data))
    more = frames.next_link(KEY, found.link, b"more")
    assert read(data + frames.frame(more, b"more"), KEY).payloads[-1] == b"more"


@given(PAYLOADS, ROOM, st.data())
def test_what_was_cut_off_anywhere_is_read_up_to_there(
    payloads: list[bytes], room: int, data: st.DataObject
) -> None:
    whole = written(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    found = read(whole[:cut] + bytes(room), KEY)
    assert not found.damage
    assert list(found.payloads) == payloads[: len(found.payloads)]
    starts = [len(written(payloads[:count])) for count in range(len(payloads) + 1)]
    # Zeros that a cut takes away are there again as room.
    assert len(found.payloads) >= sum(start <= cut for start in starts[1:])


@given(PAYLOADS, ROOM, st.data())
def test_an_edit_is_seen(payloads: list[bytes], room: int, data: st.DataObject) -> None:
    whole = bytearray(written([*payloads, b"last"]))
    at = data.draw(st.integers(0, len(written(payloads)) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = read(bytes(whole) + bytes(room), KEY)
    assert found.damage
    assert list(found.payloads) == payloads[: len(found.payloads)]


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=2, max_size=5, unique=True), st.data())
def test_records_in_another_order_or_left_out_are_seen(payloads: list[bytes], data: st.DataObject) -> None:
    whole = written(payloads)
    starts = [len(written(payloads[:count])) for count in range(len(payloads) + 1)]
    pieces = [whole[a:b] for a, b in pairwise(starts)]
    left = data.draw(st.integers(0, len(pieces) - 2))
    assert read(whole[:HEAD_BYTES] + b"".join(pieces[:left] + pieces[left + 1 :]), KEY).damage
    swapped = [*pieces[:left], pieces[left + 1], pieces[left], *pieces[left + 2 :]]
    assert read(whole[:HEAD_BYTES] + b"".join(swapped), KEY).damage


def test_another_key_and_another_file_write_other_frames() -> None:
    assert "another" in read(written([b"one"]), b"x" * 32).damage
    other = written([b"one"], salt=b"t" * 16)
    assert read(written([])[:HEAD_BYTES] + other[HEAD_BYTES:], KEY).damage


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (b"", False),
        (bytes(1000), False),
        (frames.MAGIC, False),
        (b"#!/bin/sh\necho this is a file of somebody else's\n", True),
        (b"{}", True),
    ],
)
def test_what_is_no_journal(data: bytes, damage: bool) -> None:
    found = read(data, KEY)
    assert (bool(found.damage), found.payloads, found.end) == (damage, (), 0)


@pytest.mark.parametrize("size", [0, MOST_PAYLOAD_BYTES + 1])
def test_a_record_has_its_bounds(size: int) -> None:
    with pytest.raises(ValueError, match=f"a record of {size} bytes"):
        frames.frame(b"l" * 32, bytes(size))
