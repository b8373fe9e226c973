import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.audit import use
from aliquot.access.audit.events import Event, Target
from aliquot.access.audit.use import ANY, Count, Sort, Tally, What, folded, sort_of, summary, tally
from aliquot.access.core.rules import Rule
from tests.access.audit.samples import GRANT, START_S, event

READ = Rule(("",), ("pods", "pods/log"), ("get", "list"))
SHELL = Rule(("",), ("pods/exec",), ("create", "get"), ("web",))


def told(*events: Event, rules: Sequence[Rule] = (READ, SHELL)) -> use.GrantUse:
    return summary(GRANT, rules, tally(events, {one.id for one in events}))


@pytest.mark.parametrize(
    ("verb", "resource", "group", "sort"),
    [
        ("get", "pods", "", Sort.READ),
        ("watch", "deployments", "apps", Sort.READ),
        ("get", "pods/log", "", Sort.READ),
        ("patch", "deployments/scale", "apps", Sort.CHANGE),
        ("deletecollection", "pods", "", Sort.CHANGE),
        ("create", "pods/eviction", "", Sort.CHANGE),
        ("get", "secrets", "", Sort.SECRET),
        ("list", "secrets", "", Sort.SECRET),
        ("update", "secrets", "", Sort.SECRET),
        ("get", "secrets", "example.com", Sort.READ),
        ("create", "pods/exec", "", Sort.EXEC),
        ("get", "pods/exec", "", Sort.EXEC),
        ("get", "pods/attach", "", Sort.EXEC),
        ("patch", "pods/ephemeralcontainers", "", Sort.EXEC),
        ("get", "pods/portforward", "", Sort.FORWARD),
        ("create", "services/proxy", "", Sort.FORWARD),
        ("get", "nodes/proxy", "", Sort.FORWARD),
    ],
)
def test_what_it_was(verb: str, resource: str, group: str, sort: Sort) -> None:
    assert sort_of(Target(group, resource, "shop", "x"), verb) is sort


def test_what_a_grant_was_used_for() -> None:
    found = told(
        event("get", "pods", number=1),
        event("get", "pods", number=2, at_s=START_S + 5),
        event("get", "pods", "gone", code=404, number=3),
        event(
            "get",
            "pods/exec",
            query="container=app",
            code=101,
            number=4,
            at_s=START_S + 9,
            done_s=START_S + 60,
        ),
        event("list", "secrets", "", code=403, number=5),
        event("get", "", "/api", number=6),
        rules=(READ, SHELL),
    )
    assert (found.count, found.first_s, found.last_s) == (6, START_S, START_S + 60)
    assert [(one.name, one.count, one.failed) for one in found.read] == [("gone", 1, True), ("web", 2, False)]
    (shell,) = found.shells
    assert (shell.namespace, shell.name, shell.container) == ("shop", "web", "app")
    (denied,) = found.denied
    assert (denied.verb, denied.resource, denied.namespace, denied.by) == (
        "list",
        "secrets",
        "shop",
        "rights",
    )
    assert found.secrets == ()
    assert [one.name for one in found.urls] == ["/api"]
    assert [(one.name, one.count) for one in found.addresses] == [("10.0.0.7", 6)]


def test_the_right_that_was_missing_to_act_as_somebody_else() -> None:
    message = 'User "x" cannot impersonate resource "users" in API group "" at the cluster scope'
    (denied,) = told(
        event("list", "pods", "", code=403, responseStatus={"code": 403, "message": message})
    ).denied
    assert (denied.verb, denied.resource, denied.namespace) == ("impersonate", "users", "")


def test_what_was_never_used() -> None:
    found = told(event("get", "pods"), event("list", "pods", "", code=403, number=2))
    assert found.rights == 6
    assert found.unused == (
        Rule(("",), ("pods",), ("list",)),
        Rule(("",), ("pods/log",), ("get", "list")),
        SHELL,
    )
    assert found.unused_rights == 5


@pytest.mark.parametrize("verb", ["get", "create"])
def test_a_shell_by_websocket_needs_both_rights(verb: str) -> None:
    assert told(event(verb, "pods/exec", code=101), rules=(SHELL,)).unused == ()


@pytest.mark.parametrize(
    ("rule", "done", "is_used"),
    [
        (Rule(("apps",), ("deployments",), ("patch",), ("web",)), ("patch", "deployments", "web"), True),
        (Rule(("apps",), ("deployments",), ("patch",), ("web",)), ("patch", "deployments", "other"), False),
        (Rule(("apps",), ("*",), ("*",)), ("patch", "deployments", "web"), True),
        (Rule(("apps",), ("*/scale",), ("patch",)), ("patch", "deployments/scale", "web"), True),
        (Rule(("apps",), ("*/scale",), ("patch",)), ("patch", "deployments", "web"), False),
        (Rule(("",), ("deployments",), ("patch",)), ("patch", "deployments", "web"), False),
    ],
)
def test_which_right_it_was(rule: Rule, done: tuple[str, str, str], is_used: bool) -> None:
    assert (told(event(*done, group="apps"), rules=(rule,)).unused == ()) is is_used


def test_nothing_is_used_by_what_was_refused() -> None:
    assert told(event("get", "pods", code=403), rules=(READ,)).unused_rights == 4


def test_nothing_was_done_and_nothing_was_given() -> None:
    found = told(rules=())
    assert (found.count, found.first_s, found.rights, found.unused) == (0, None, 0, ())
    assert told(rules=(READ, READ)).rights == 4


def added(tallies: Iterable[Tally]) -> Tally:
    found: dict[tuple[Sort, What], Count] = {}
    for one in tallies:
        for key, count in one.items():
            found[key] = found[key] + count if key in found else count
    return found


_samples = st.builds(
    lambda verb, resource, name, code, number, long_s: [
        event(
            verb,
            resource,
            name,
            code=code,
            number=number,
            at_s=START_S + number,
            done_s=START_S + number + long_s,
        ),
        event(verb, resource, name, code=code, number=number, at_s=START_S + number, stage="ResponseStarted")
        if resource == "pods/exec"
        else event(
            verb,
            resource,
            name,
            code=code,
            number=number,
            at_s=START_S + number,
            done_s=START_S + number + long_s,
        ),
    ],
    st.sampled_from(["get", "create", "delete"]),
    st.sampled_from(["pods", "pods/exec", "secrets"]),
    st.sampled_from(["web", "db"]),
    st.sampled_from([200, 403, 404]),
    st.integers(1, 30),
    st.integers(0, 100),
)


@given(
    st.lists(_samples, max_size=12, unique_by=lambda pair: pair[0].id),
    st.integers(0, 1 << 32),
    st.integers(1, 5),
)
def test_duplicates_and_another_order_come_to_the_same(
    pairs: list[list[Event]], seed: int, batches: int
) -> None:
    rng = random.Random(seed)
    every = [one for pair in pairs for one in pair]
    shuffled = every * 2
    rng.shuffle(shuffled)
    seen: set[str] = set()
    tallies = []
    for number in range(batches):
        batch = shuffled[number::batches]
        new = {one.id for one in batch} - seen
        seen |= new
        tallies.append(tally(batch, new))
    rules = (READ, SHELL)
    once = summary(GRANT, rules, tally(every, {one.id for one in every}))
    assert summary(GRANT, rules, added(tallies)) == once
    assert once.count == len(pairs)


@pytest.mark.parametrize(
    ("sort", "what", "left"),
    [
        (Sort.READ, What("get", "", "pods", "shop", "web"), What("get", "", "pods", ANY, ANY)),
        (
            Sort.EXEC,
            What("get", "", "pods/exec", "shop", "web", "c"),
            What("get", "", "pods/exec", ANY, ANY, ANY),
        ),
        (
            Sort.DENIED,
            What("get", "x", "y", "shop", "z", by="rights"),
            What(ANY, "", ANY, "", ANY, by="rights"),
        ),
        (Sort.ADDRESS, What(name="10.0.0.1"), What(name=ANY)),
    ],
)
def test_where_there_are_too_many_names_are_given_up_and_not_what_was_done(
    sort: Sort, what: What, left: What
) -> None:
    assert folded(sort, what) == left
    assert folded(sort, left) == left


def test_a_summary_says_that_it_is_not_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use, "MOST_KINDS", 2)
    monkeypatch.setattr(use, "MOST_COUNTED", 3)

    def found(*names: str) -> Any:
        return told(*(event("get", "pods", name, number=number) for number, name in enumerate(names)))

    assert (found("a").is_folded, found("a").is_cut) == (False, False)
    assert (found("a", "b").is_folded, found("a", "b").is_cut) == (True, False)
    assert found("a", "b", "b").is_cut
