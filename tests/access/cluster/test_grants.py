"""What of the objects that are there is not what the grant is to have."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from aliquot.access.cluster import grants
from aliquot.access.cluster.grants import END, TIMERS, Part
from aliquot.access.cluster.naming import DIGEST, ENDS_AT, ENDS_BY, HOLDER, LABEL, NAMESPACE, ends_at
from aliquot.clock import rfc3339, rfc3339_milli
from tests.access.cluster.world import RESTART, START_S, grant_id, spec

Json = dict[str, Any]
OWN = spec(role="", rules=(RESTART,))
UID = "u1"


def there(part: Part) -> tuple[grants.Piece, Json]:
    """As the API server has it."""
    piece = next(one for one in grants.pieces(OWN) if one.part is part)
    body = copy.deepcopy(grants.to_create(piece, OWN, UID, START_S))
    body["metadata"] |= {"uid": "u2", "resourceVersion": "7", "creationTimestamp": rfc3339(START_S)}
    if part in TIMERS:
        body["status"] = {"startTime": rfc3339(START_S + 1)}
    return piece, body


@pytest.mark.parametrize("part", Part)
def test_what_was_made_does_not_differ(part: Part) -> None:
    piece, found = there(part)
    assert grants.differences(piece, OWN, found, UID) == ()


def test_the_binding_is_last_and_timers_are_first() -> None:
    parts = [one.part for one in grants.pieces(OWN)]
    assert parts[:2] == list(TIMERS)
    assert parts[-1] is Part.BINDING
    assert [one.part for one in grants.pieces(spec(namespace=""))][:1] == [Part.IDENTITY_TIMER]


def test_the_secret_is_first_to_go() -> None:
    for namespace in ("shop", ""):
        assert grants.removed(OWN.id, namespace)[0][0].kind == "Secret"


def metadata(**values: Any) -> Callable[[Json], None]:
    def change(found: Json) -> None:
        found["metadata"] |= values

    return change


def annotation(key: str, value: str) -> Callable[[Json], None]:
    def change(found: Json) -> None:
        found["metadata"]["annotations"][key] = value

    return change


def field(key: str, value: Any, of: str = "") -> Callable[[Json], None]:
    def change(found: Json) -> None:
        (found[of] if of else found)[key] = value

    return change


LATER = rfc3339_milli(START_S + 7200)
FAILED = [{"type": "FailureTarget", "status": "True"}]
CASES: list[tuple[Part, Callable[[Json], None], tuple[str, ...]]] = [
    (Part.BINDING, metadata(deletionTimestamp="2026-01-01T00:00:00Z"), ("it is being deleted",)),
    (Part.SECRET, metadata(finalizers=["a/b"]), ("its finalizers",)),
    (Part.SECRET, metadata(labels={LABEL: grant_id(2)}), ("its label",)),
    (Part.SECRET, metadata(labels=None), ("its label",)),
    (Part.SECRET, metadata(ownerReferences=[]), ("its owner",)),
    (Part.SECRET, annotation(ENDS_AT, LATER), (END,)),
    (Part.SECRET, annotation(ENDS_BY, LATER + "0"), (f"its annotation {ENDS_BY}",)),
    (Part.SECRET, annotation(HOLDER, "eve"), (f"its annotation {HOLDER}",)),
    (Part.SECRET, annotation(DIGEST, "sha256:11"), (f"its annotation {DIGEST}",)),
    (Part.SECRET, field("data", {"a": "b"}), ("it has data",)),
    (Part.SECRET, field("type", "kubernetes.io/service-account-token"), ("its type",)),
    (Part.ACCOUNT, field("secrets", [{"name": "a"}]), ("it has secrets",)),
    (Part.ROLE, field("rules", []), ("its rules",)),
    (Part.BINDING, field("name", "cluster-admin", "roleRef"), ("its role",)),
    (Part.BINDING, field("subjects", []), ("its subjects",)),
    (Part.BINDING, field("subjects", None), ("its subjects",)),
    (Part.ACCESS_TIMER, field("parallelism", 1, "spec"), ("it is no timer",)),
    (Part.ACCESS_TIMER, field("suspend", True, "spec"), ("it is no timer",)),
    (Part.ACCESS_TIMER, field("activeDeadlineSeconds", 3650, "spec"), (END,)),
    (Part.ACCESS_TIMER, field("activeDeadlineSeconds", 3000, "spec"), (END,)),
    (Part.ACCESS_TIMER, field("activeDeadlineSeconds", None, "spec"), (END,)),
    (Part.ACCESS_TIMER, field("conditions", FAILED, "status"), ("it has run out",)),
    (Part.ACCESS_TIMER, field("startTime", rfc3339(START_S + 60), "status"), (END,)),
]


@pytest.mark.parametrize(("part", "change", "told"), CASES)
def test_what_differs_is_told(part: Part, change: Callable[[Json], None], told: tuple[str, ...]) -> None:
    piece, found = there(part)
    change(found)
    assert grants.differences(piece, OWN, found, UID) == told


def test_what_somebody_else_adds_is_none_of_ours() -> None:
    piece, found = there(Part.SECRET)
    found["metadata"]["labels"]["team"] = "shop"
    found["metadata"]["annotations"]["note"] = "x"
    assert grants.differences(piece, OWN, found, UID) == ()


def test_an_end_that_is_moved_counts_from_when_its_controller_began() -> None:
    piece, found = there(Part.ACCESS_TIMER)
    later = spec(role="", rules=(RESTART,), end_s=START_S + 7200)
    patch = grants.end_patch(piece, later, found)
    assert patch["spec"] == {"activeDeadlineSeconds": 7199}
    assert patch["metadata"]["resourceVersion"] == "7"
    found["spec"] |= patch["spec"]
    found["metadata"]["annotations"] |= patch["metadata"]["annotations"]
    moved = next(one for one in grants.pieces(later) if one.part is Part.ACCESS_TIMER)
    assert grants.differences(moved, later, found, "") == ()


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"namespace": NAMESPACE}, "nobody gets access"), ({"end_s": START_S + 7201}, "latest moment")],
)
def test_what_can_be_no_grant(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        grants.pieces(spec(**fields))


@pytest.mark.parametrize(
    ("text", "end_s"),
    [
        ("2026-01-01T01:00:00Z", START_S + 3600),
        ("2026-01-01T01:00:00.500Z", START_S + 3600.5),
        ("2026-01-01T01:00:00.123456789Z", START_S + 3600.123456),
        ("", None),
        ("2026-01-01T01:00:00", None),
        ("2026-01-01T01:00:00+00:00", None),
        ("2026-01-01 01:00:00Z", None),
        ("2026-13-01T01:00:00Z", None),
        ("20260101T010000Z", None),
        ("never", None),
        ("9999999999", None),
    ],
)
def test_ends(text: str, end_s: float | None) -> None:
    assert ends_at({ENDS_AT: text}) == (None if end_s is None else pytest.approx(end_s, abs=1e-5))
