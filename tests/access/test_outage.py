"""Who may end what while the database is gone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.asking import ask
from aliquot.access.core.life.events import Approve, Revoke
from aliquot.access.core.life.here import Here
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.rights import may
from aliquot.access.core.life.steps import step
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.limits import Usage
from aliquot.access.core.outage import (
    KnownGrant,
    holder_in,
    known_of,
    may_end,
    may_pull,
    may_return,
    may_see,
)
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.terms import Ask
from tests.access.life.scenery import PEEK, PEOPLE, START_S, an_id, person, policy_of

POLICY = policy_of()
AROUND = Surroundings(policy=POLICY, identities=PEOPLE, usage=Usage(), switch=KillSwitch())


def life(holder: str = "dev", template: str = "fix", approvers: tuple[str, ...] = ()) -> Life:
    asked = Ask(
        template=template,
        cluster="prod-eu",
        namespace="team-a",
        parameters={"workload": "web"} if template == "fix" else {},
        justification="web hangs",
    )
    done = ask(asked, request_id=an_id(1), by=person(holder), now_s=START_S, around=AROUND)
    assert not isinstance(done, Refused)
    found = done.life
    for name in approvers:
        agreed = step(found, Approve(by=person(name), digest=found.digest), START_S, AROUND)
        assert not isinstance(agreed, Refused)
        found = agreed.life
    return found


NAMES = st.sampled_from(sorted(one.subject for one in PEOPLE))
LIVES = st.one_of(
    st.builds(life, st.sampled_from(["dev", "dave"]), st.just("peek")),
    st.builds(
        life,
        st.sampled_from(["dev", "dave"]),
        st.just("fix"),
        st.sampled_from([(), ("sara",), ("sara", "cleo")]),
    ),
)
POLICIES = st.sampled_from([POLICY, policy_of((PEEK,)), policy_of(()), None])


def known_less(known: KnownGrant, less: set[str]) -> KnownGrant:
    changes: dict[str, Any] = {
        name: none
        for name, none in (("holder", None), ("approvers", frozenset()), ("template", "gone"))
        if name in less
    }
    return replace(known, **changes)


@given(LIVES, NAMES, POLICIES, st.sets(st.sampled_from(["holder", "approvers", "template"])))
def test_whoever_may_end_something_without_the_database_may_with_it(
    one: Life, name: str, policy: Any, less: set[str]
) -> None:
    by = PEOPLE[person(name)]
    here = Here(one, START_S, replace(AROUND, policy=policy))
    with_it = may(here, Revoke(by=by.person, why=""))
    assert (may_end(known_of(one), by, policy) is None) == (with_it is None)
    if may_end(known_less(known_of(one), less), by, policy) is None:
        assert with_it is None


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("max", True),
        ("sara", True),
        ("cleo", True),
        ("rita", True),
        ("dev", False),
        ("dave", False),
        ("stranger", False),
    ],
)
def test_those_who_may_end_one(name: str, allowed: bool) -> None:
    known = known_of(life(approvers=("sara", "cleo")))
    found = may_end(known, PEOPLE[person(name)], POLICY)
    assert (found is None) == allowed
    assert may_see(known, PEOPLE[person(name)], POLICY) == (allowed or name == "dev")


def test_who_agreed_may_end_it_when_nothing_else_is_known() -> None:
    moved_on = Identity(person=person("sara"))
    assert may_end(known_of(life(approvers=("sara",))), moved_on, None) is None
    assert may_end(known_of(life()), moved_on, None) is not None


def test_of_one_whose_holder_cannot_be_told_those_who_look_after_all_may() -> None:
    unknown = replace(known_of(life()), holder=None)
    allowed = {name.subject for name in PEOPLE if may_end(unknown, PEOPLE[name], POLICY) is None}
    assert allowed == {"max", "mia"}


def test_its_holder_gives_it_back_and_nobody_else() -> None:
    known = known_of(life())
    assert may_return(known, PEOPLE[person("dev")]) is None
    for other in ("max", "dave"):
        found = may_return(known, PEOPLE[person(other)])
        assert found is not None and found.ground is Ground.FORBIDDEN
    assert may_return(replace(known, holder=None), PEOPLE[person("dev")]) is not None


def test_who_may_pull() -> None:
    assert may_pull(PEOPLE[person("max")], POLICY) is None
    found = may_pull(PEOPLE[person("sara")], POLICY)
    assert found is not None and found.ground is Ground.FORBIDDEN
    found = may_pull(PEOPLE[person("max")], None)
    assert found is not None and found.ground is Ground.UNKNOWN


@given(st.text().filter(lambda text: "#" not in text and text), st.text(min_size=1))
def test_a_holder_is_read_as_it_is_written(issuer: str, subject: str) -> None:
    assert holder_in(str(Person(issuer, subject))) == Person(issuer, subject)


@pytest.mark.parametrize("text", ["", "#", "issuer#", "#subject", "nobody"])
def test_what_names_nobody(text: str) -> None:
    assert holder_in(text) is None
