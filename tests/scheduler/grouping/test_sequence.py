"""Who waits for whom: a row for each rule, and what is true of any jobs."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.reasons import Kind, Reason
from aliquot.scheduler.grouping.drawn import Refused
from aliquot.scheduler.grouping.ends import standing_of
from aliquot.scheduler.grouping.sequence import ENDED, After, Standing, read, waits

LETTERS = {"r": Standing.RUNNING, "s": Standing.SUCCEEDED, "f": Standing.FAILED}


def after(text: str) -> tuple[After, ...]:
    return read("t", text) if text else ()


def why(job: str, orders: Mapping[str, str], standings: str = "", *others: str) -> Reason | None:
    """`standings`: `a=s b=r`; who is not named is not there. `others`: names that the job has too."""
    known = dict(word.split("=") for word in standings.split())
    return waits(
        [f"t/{name}" for name in (job, *others)],
        after(orders[job]),
        lambda name: LETTERS[known[name[2:]]] if name[2:] in known else Standing.MISSING,
        lambda name: after(orders.get(name[2:], "")),
    )


@pytest.mark.parametrize(
    ("rule", "orders", "standings", "told"),
    [
        ("nobody is waited for", {"x": ""}, "", ""),
        ("it has not ended", {"x": "a"}, "a=r", "waits for a to succeed"),
        ("it has succeeded", {"x": "a"}, "a=s", ""),
        ("it has failed", {"x": "a"}, "a=f", "a was to succeed, and has failed: make it anew, or take it out of aliquot.dev/after"),
        ("any end will do", {"x": "a:Ended"}, "a=r", "waits for a to end"),
        ("... also that", {"x": "a:Ended"}, "a=f", ""),
        ("it is not there", {"x": "a"}, "", "waits for a to succeed: there is no job of that name"),
        ("one of two", {"x": "a,b"}, "a=s b=r", "waits for b to succeed"),
        ("both", {"x": "a, b"}, "a=r b=r", "waits for a to succeed, and for 1 more"),
        ("a failure counts before what is awaited", {"x": "a,b"}, "a=r b=f", "b was to succeed, and has failed: make it anew, or take it out of aliquot.dev/after"),
        ("itself", {"x": "x"}, "", "x waits for itself: take one out of aliquot.dev/after"),
        ("each other", {"x": "a", "a": "x"}, "", "a, x wait for each other: take one out of aliquot.dev/after"),
        ("through others", {"x": "a", "a": "b,c", "b": "x"}, "c=r", "a, b, x wait for each other: take one out of aliquot.dev/after"),
        ("two circles that meet", {"x": "a,b", "a": "x", "b": "x"}, "", "a, b, x wait for each other: take one out of aliquot.dev/after"),
        ("behind a circle one waits", {"x": "a", "a": "b", "b": "a"}, "a=r", "waits for a to succeed"),
    ],
)  # fmt: skip
def test_what_it_waits_for(rule: str, orders: Mapping[str, str], standings: str, told: str) -> None:
    found = why("x", orders, standings)
    assert (found.detail if found is not None else "") == told


def test_a_circle_closes_by_whatever_name() -> None:
    found = why("x", {"x": "a", "a": "b", "b": "g"}, "", "g")
    assert found is not None and found.detail.startswith("a, b, x wait for each other")
    found = why("x", {"x": "g"}, "", "g")
    assert found is not None and found.detail.startswith("x waits for itself")
    found = why("x", {"x": "a", "a": "g"})
    assert found is not None and found.kind is Kind.DEPENDENCY


@pytest.mark.parametrize("text", ["", ",", "a,", "a:Failed", ":Ended", "a b", "two\nlines", "x" * 254])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"^aliquot\.dev/after is"):
        read("t", text)


@pytest.mark.parametrize(
    ("group", "status", "standing"),
    [
        ("", {}, "r"),
        ("batch", {"conditions": [{"type": "Complete", "status": "True"}]}, "s"),
        ("batch", {"conditions": [{"type": "Failed", "status": "True"}]}, "f"),
        ("batch", {"conditions": [{"type": "Suspended", "status": "True"}]}, "r"),
        ("jobset.x-k8s.io", {"conditions": [{"type": "Completed", "status": "True"}]}, "s"),
        ("kubeflow.org", {"conditions": [{"type": "Running", "status": "False"}, {"type": "Succeeded", "status": "True"}]}, "s"),
        ("kubeflow.org", {"conditions": [{"type": "Succeeded", "status": "False"}]}, "r"),
        ("tekton.dev", {"conditions": [{"type": "Succeeded", "status": "Unknown"}]}, "r"),
        ("tekton.dev", {"conditions": [{"type": "Succeeded", "status": "False"}]}, "f"),
        ("ray.io", {"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"}, "s"),
        ("ray.io", {"jobStatus": "STOPPED", "jobDeploymentStatus": "Complete"}, "f"),
        ("ray.io", {"jobStatus": "FAILED", "jobDeploymentStatus": "Failed"}, "f"),
        ("ray.io", {"jobStatus": "FAILED", "jobDeploymentStatus": "Retrying"}, "r"),
        ("ray.io", {"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Running"}, "r"),
        ("argoproj.io", {"phase": "Error"}, "f"),
        ("sparkoperator.k8s.io", {"applicationState": {"state": "COMPLETED"}}, "s"),
        ("", {"phase": "Pending"}, "r"),
        ("", {"phase": "Succeeded"}, "s"),
        ("x", {"conditions": "none", "applicationState": "none", "phase": 1}, "r"),
    ],
)  # fmt: skip
def test_how_objects_say_that_they_have_ended(
    group: str, status: Mapping[str, object], standing: str
) -> None:
    assert standing_of(group, status) is LETTERS[standing]


NAMES = "abcdefg"
ORDERS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans()),
    max_size=14,
    unique_by=lambda e: e[:2],
)


@given(ORDERS)
def test_who_is_in_no_circle_and_behind_none_runs_in_the_end(
    edges: Sequence[tuple[str, str, bool]],
) -> None:
    orders = {
        one: tuple(After(f"t/{other}", success) for first, other, success in edges if first == one)
        for one in NAMES
    }
    reach = {one: set(_reached(one, edges)) for one in NAMES}
    on_circle = {one for one in NAMES if one in reach[one]}
    standings: dict[str, Standing] = dict.fromkeys(NAMES, Standing.RUNNING)

    def reason(one: str) -> Reason | None:
        return waits(
            (f"t/{one}",), orders[one], lambda name: standings[name[2:]], lambda name: orders[name[2:]]
        )

    for one in NAMES:
        found = reason(one)
        assert (found is not None and found.kind is Kind.DEPENDENCY_CYCLE) == (one in on_circle)
    for _ in NAMES:
        for one in NAMES:
            if standings[one] not in ENDED and reason(one) is None:
                standings[one] = Standing.SUCCEEDED
    stuck = {one for one in NAMES if standings[one] not in ENDED}
    assert stuck == {one for one in NAMES if one in on_circle or reach[one] & on_circle}


def _reached(one: str, edges: Sequence[tuple[str, str, bool]]) -> set[str]:
    found: set[str] = set()
    to_see = [one]
    while to_see:
        here = to_see.pop()
        for first, other, _ in edges:
            if first == here and other not in found:
                found.add(other)
                to_see.append(other)
    return found
