"""The one rule for whatever EKS does by an update, as a table: what was seen, and what is to be done about it."""

import pytest

from aliquot.eks.estate.updates import Progress, SeenError, SeenUpdate
from aliquot.eks.upgrade.updates import Subject, judge
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Verdict, Wait

CALL = Call("eks", "UpdateClusterVersion", {"version": "1.32"})


def update(id_: str, progress: Progress, code: str = "") -> SeenUpdate:
    errors = (SeenError(code, "said so", ("node-1",)),) if code else ()
    return SeenUpdate(id=id_, type="VersionUpdate", progress=progress, created_s=1.0, errors=errors)


RUNNING = update("u1", Progress.IN_PROGRESS)
FAILED = update("u1", Progress.FAILED, "PodEvictionFailure")
UNSAID = update("u1", Progress.FAILED)
CANCELLED = update("u1", Progress.CANCELLED)
DONE = update("u1", Progress.SUCCESSFUL)


@pytest.mark.parametrize(
    ("reached", "settled", "updates", "before", "against", "verdict", "says"),
    [
        (False, True, (), (), "", Call, ""),
        (False, True, (DONE,), ("u1",), "", Call, ""),
        (False, True, (DONE,), (), "", Call, ""),
        (False, False, (RUNNING,), (), "", Wait, "update u1 (VersionUpdate) is in progress"),
        (True, True, (RUNNING,), (), "", Wait, "in progress"),
        (True, True, (DONE,), (), "", Done, "it is so"),
        (True, True, (), (), "", Done, "it is so"),
        (True, False, (DONE,), (), "", Wait, "is UPDATING"),
        (True, True, (FAILED,), (), "", Done, "it is so"),
        (False, True, (FAILED,), (), "", Hold, "PodEvictionFailure: said so (node-1)"),
        (False, True, (FAILED,), ("u1",), "", Call, ""),
        (False, True, (UNSAID,), (), "", Hold, "EKS does not say why"),
        (False, True, (CANCELLED,), (), "", Hold, "update u1 was cancelled"),
        (False, False, (), (), "", Hold, "is UPDATING"),
        # Its update ended between two looks.
        (False, False, (DONE,), (), "", Wait, "is UPDATING"),
        (False, False, (DONE,), ("u1",), "", Hold, "is UPDATING"),
        (False, True, (), (), "it is at 1.34", Hold, "it is at 1.34"),
        (False, False, (RUNNING,), (), "it is at 1.34", Wait, "in progress"),
    ],
)
def test_what_to_do(
    reached: bool,
    settled: bool,
    updates: tuple[SeenUpdate, ...],
    before: tuple[str, ...],
    against: str,
    verdict: type[Verdict],
    says: str,
) -> None:
    subject = Subject(
        what="control plane of prod",
        reached=reached,
        settled=settled,
        status="ACTIVE" if settled else "UPDATING",
        updates=updates,
        against=against,
    )
    found = judge(subject, CALL, before=before)
    assert type(found) is verdict
    words = {Wait: "why", Done: "told", Hold: "why"}.get(type(found))
    if words is not None:
        assert says in getattr(found, words)


@pytest.mark.parametrize(
    "code", ["PodEvictionFailure", "NodeCreationFailure", "IpNotAvailable", "ConfigurationConflict"]
)
def test_whoever_is_held_is_told_what_to_do(code: str) -> None:
    subject = Subject(
        what="x", reached=False, settled=True, status="ACTIVE", updates=(update("u", Progress.FAILED, code),)
    )
    found = judge(subject, CALL, before=())
    assert isinstance(found, Hold)
    assert "retry" in found.todo
