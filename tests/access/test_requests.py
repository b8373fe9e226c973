"""Requests: their ids, and the digest that an approval names."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.people import Person
from aliquot.access.core.requests import RANDOM_BYTES, Request, digest, is_id, new_id
from aliquot.access.core.rules import Rule
from aliquot.access.core.spelling import read, spell, to_ms

REQUEST = Request(
    id=new_id(1_800_000_000.0, bytes(RANDOM_BYTES)),
    template="fix",
    template_digest="sha256:0",
    requester=Person("https://login.example.com", "dev"),
    cluster="prod-eu",
    namespace="team-a",
    parameters={"workload": "web"},
    rules=(Rule(("apps",), ("deployments",), ("patch",), ("web",)),),
    duration_s=3600,
    justification="web hangs",
    asked_at_s=1_800_000_000.0,
)
OTHERS: list[dict[str, Any]] = [
    {"id": new_id(1_800_000_000.0, b"1" * RANDOM_BYTES)},
    {"template": "fix2"},
    {"template_digest": "sha256:1"},
    {"requester": Person("https://login.example.com", "dev2")},
    {"requester": Person("https://login.example.com#", "dev")},
    {"cluster": "prod-us"},
    {"namespace": ""},
    {"parameters": {"workload": "db"}},
    {"parameters": {}},
    {"rules": ()},
    {"rules": (Rule(("apps",), ("deployments",), ("patch",)),)},
    {"duration_s": 3601},
    {"start_s": 1_800_000_000.0},
    {"start_s": 1_800_000_000.001},
    {"justification": "web hangs "},
    {"ticket": "CHG1"},
    {"emergency": True},
    {"extends": REQUEST.id},
    {"asked_at_s": 1_800_000_000.001},
]


def test_whatever_is_other_has_another_digest() -> None:
    digests = [digest(REQUEST), *(digest(replace(REQUEST, **other)) for other in OTHERS)]
    assert len(set(digests)) == len(digests)
    assert {name for other in OTHERS for name in other} == set(Request.__struct_fields__)


def test_a_digest_is_of_what_is_said_and_not_of_how_it_is_held() -> None:
    again = read(spell(REQUEST), Request)
    assert again == REQUEST
    assert digest(again) == digest(REQUEST)
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest(REQUEST))


def test_it_is_written_as_the_api_does() -> None:
    spelled = spell(replace(REQUEST, start_s=1_800_000_001.5))
    assert spelled["start"] == "2027-01-15T08:00:01.500Z"
    assert spelled["askedAt"] == "2027-01-15T08:00:00.000Z"
    assert spelled["durationSeconds"] == 3600
    assert spell(REQUEST)["start"] is None


@given(st.floats(0, 4e9).map(to_ms))
def test_a_moment_is_read_as_it_was_written(moment_s: float) -> None:
    request = replace(REQUEST, start_s=moment_s)
    assert read(spell(request), Request).start_s == moment_s


@given(
    st.tuples(st.integers(0, 2**47), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)),
    st.tuples(st.integers(0, 2**47), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)),
)
def test_ids_are_names_and_sort_by_time(one: tuple[int, bytes], other: tuple[int, bytes]) -> None:
    ids = [new_id(ms / 1000, randomness) for ms, randomness in (one, other)]
    for found in ids:
        assert is_id(found)
        assert re.fullmatch("[a-z0-9]{27}", found)
    by_time = (int(one[0] / 1000 * 1000), one[1]) < (int(other[0] / 1000 * 1000), other[1])
    assert (ids[0] < ids[1]) == by_time


@pytest.mark.parametrize("text", ["", "r", "R" + "0" * 26, "r" + "0" * 25, "r8" + "0" * 25, "r" + "0" * 25 + "u", "r" + "0" * 26 + "\n"])  # fmt: skip
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


def test_an_id_takes_its_randomness() -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        new_id(0.0, b"")
