import json

import pytest

from aliquot.access.log.dump import NoDump, dump, recorded
from tests.access.log.logs import ORIGIN, draft, lines, log


def test_a_dump_is_read_as_it_was_logged() -> None:
    store = log([draft(number) for number in range(4)], [0, 2, 4])
    read = list(recorded(lines(store)))
    assert [one.entry.seq for one in read] == [0, 1, 2, 3]
    assert [one.personal for one in read] == [
        {},
        {"justification": "because of 1"},
        {},
        {"justification": "because of 3"},
    ]
    assert {one.origin for one in read} == {ORIGIN}


def test_the_order_of_lines() -> None:
    found = lines(log([draft(number) for number in range(3)], [0, 2]))
    assert [next(iter(json.loads(line))) for line in found] == [
        "format",
        "checkpoint",
        "action",
        "action",
        "opening",
        "checkpoint",
        "action",
        "end",
    ]


def test_of_a_shorter_log_no_later_checkpoint_is_dumped() -> None:
    store = log([draft(number) for number in range(6)], [2, 4, 6])
    found = list(dump(store, ORIGIN, 4, with_personal=False))
    assert sum(line.startswith(b'{"checkpoint"') for line in found) == 2
    assert found[-1] == b'{"end":{"entries":4}}\n'


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([b"{}\n"], "line 1"),
        ([b'{"format":"x","origin":"y"}\n'], "line 1: the format is 'x'"),
        ([*lines(log([draft(0)], []))[:1], b'{"action":1}\n'], "line 2"),
        ([*lines(log([draft(0)], []))[:1], b"nonsense\n"], "line 2"),
    ],
)
def test_what_is_no_dump(found: list[bytes], said: str) -> None:
    with pytest.raises(NoDump, match=said):
        list(recorded(found))
