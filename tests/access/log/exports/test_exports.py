import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from aliquot.access.log.dump import Recorded, recorded
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.log.exports.cloudevents import cloudevents
from aliquot.access.log.exports.ocsf import ocsf
from aliquot.access.log.exports.table import COLUMNS, rows
from aliquot.clock import parse_rfc3339
from tests.access.log.logs import ACTOR, ORIGIN, START_S, lines, log

SYSTEM = Actor("aliquot", "broker")
STORY = [
    Draft(
        time_s=START_S,
        actor=ACTOR,
        action="request.asked",
        grant="r1",
        after="pending",
        details={
            "changed": {"request": {"template": "pod-logs", "cluster": "prod", "namespace": "payments"}}
        },
        personal={"request.justification": "=cmd|' /C calc'!A0"},
    ),
    Draft(time_s=START_S + 1, actor=SYSTEM, action="intends.makeGrant", grant="r1"),
    Draft(
        time_s=START_S + 2.5,
        actor=SYSTEM,
        action="grant.active",
        grant="r1",
        before="activating",
        after="active",
    ),
    Draft(time_s=START_S + 3, actor=SYSTEM, action="grant.not_removed", grant="r1"),
    Draft(time_s=START_S + 4, actor=SYSTEM, action="grant.ended", grant="r1", before="ending"),
    Draft(time_s=START_S + 5, actor=SYSTEM, action="grant.made", grant="r2"),
    Draft(time_s=START_S + 6, actor=ACTOR, action="killswitch.pulled"),
    Draft(time_s=START_S + 7, actor=ACTOR, action="refused.approve", grant="r1"),
    Draft(time_s=START_S + 8, actor=ACTOR, action="grant.ended", grant="r1", before="approved"),
]


def told() -> Iterator[Recorded]:
    return recorded(lines(log(STORY, [7])))


REQUIRED = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
"""Of every class, by schema.ocsf.io/1.6.0; each has one of its own."""
REQUIRED_OF = {3004: "entity", 3005: "user"}
ACTIVITIES = {3004: {1, 2, 3, 4, 99}, 3005: {1, 2}}


def test_ocsf_events_have_what_their_class_requires() -> None:
    for event in ocsf(told()):
        assert event.keys() >= REQUIRED | {REQUIRED_OF[event["class_uid"]]}
        assert event["activity_id"] in ACTIVITIES[event["class_uid"]]
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["category_uid"] == 3
        assert event["metadata"].keys() >= {"product", "version"}
        assert set(event["actor"]) & {"user", "session"}
        json.dumps(event, allow_nan=False)


@pytest.mark.parametrize(
    ("number", "type_uid", "severity", "status"),
    [(0, 300401, 1, 1), (1, 300499, 1, 1), (2, 300501, 1, 1), (3, 300403, 4, 2), (4, 300502, 1, 1), (6, 300403, 4, 1), (7, 300403, 1, 2), (8, 300403, 1, 1)],
)  # fmt: skip
def test_ocsf_kinds(number: int, type_uid: int, severity: int, status: int) -> None:
    event = list(ocsf(told()))[number]
    assert (event["type_uid"], event["severity_id"], event["status_id"]) == (type_uid, severity, status)


def test_ocsf_names_who_was_given_access_to_what() -> None:
    made = list(ocsf(told()))[2]
    assert made["user"] == {"uid": "0123", "domain": "https://login.example.com", "type_id": 1}
    assert made["actor"]["user"] == {"uid": "broker", "domain": "aliquot", "type_id": 1}
    assert made["privileges"] == ["pod-logs"]
    assert made["resources"] == [{"type": "namespace", "name": "payments"}]
    assert (made["time"], made["metadata"]["correlation_uid"]) == (1_790_000_002_500, "r1")


def test_ocsf_of_a_page_knows_what_was_asked_before_it() -> None:
    whole, all_ = list(ocsf(told())), list(told())
    for first in range(len(all_)):
        assert list(ocsf(all_[first:], all_[:first])) == whole[first:]


def test_ocsf_of_a_request_that_is_not_in_the_dump() -> None:
    assert list(ocsf(told()))[5]["user"] == {"name": "aliquot-bg-r2", "type_id": 4}


def test_cloudevents() -> None:
    events = list(cloudevents(told()))
    for event in events:
        assert event["specversion"] == "1.0"
        assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type"))
        assert all(name.isalnum() and name.islower() for name in event)
        parse_rfc3339(event["time"])
    first: dict[str, Any] = events[0]
    assert (first["id"], first["source"], first["type"], first["subject"]) == (
        "0",
        f"//{ORIGIN}",
        "dev.aliquot.access.request.asked",
        "r1",
    )
    assert first["data"]["after"] == "pending"
    assert first["data"]["personal"] == {"request.justification": "=cmd|' /C calc'!A0"}
    assert "subject" not in events[6]
    assert len({(event["source"], event["id"]) for event in events}) == len(STORY)


def test_csv() -> None:
    header, *found = csv.reader(io.StringIO("".join(rows(told())), newline=""))
    assert tuple(header) == COLUMNS
    assert len(found) == len(STORY)
    first = dict(zip(header, found[0], strict=True))
    assert (first["seq"], first["time"], first["subject"]) == ("0", "2026-09-21T14:13:20.000Z", "0123")
    assert json.loads(first["details"])["changed"]["request"]["cluster"] == "prod"


def test_no_cell_is_a_formula() -> None:
    bad = [Draft(time_s=START_S, actor=Actor("=1+1", "@SUM(A1)", "\t=1", "-2"), action="+1", grant="\r=1")]
    _, found = csv.reader(io.StringIO("".join(rows(recorded(lines(log(bad, []))))), newline=""))
    assert all(cell[:1] not in ("=", "+", "-", "@", "\t", "\r") for cell in found)
    assert "'@SUM(A1)" in found
