"""Who has to agree, a row for each rule."""

from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.core.people import Group, Identity, Person, group
from aliquot.access.core.quorum import Quorum, Slot, asked_groups, fill, is_met, may_approve

ISSUER = "https://login.example.com"


def person(name: str, issuer: str = ISSUER) -> Person:
    return Person(issuer, name)


def groups(names: str, issuer: str = ISSUER) -> tuple[Group, ...]:
    return tuple(group(f"{issuer}#{name}") for name in names.split())


def who(name: str, of: str = "", *, acts_for: str = "", issuer: str = ISSUER) -> Identity:
    return Identity(
        person=person(name, issuer),
        groups=frozenset(groups(of, issuer)),
        acts_for=frozenset(person(one) for one in acts_for.split()),
    )


def of(*slots: str, distinct: bool = True) -> Quorum:
    return Quorum(slots=tuple(Slot(groups=groups(one)) for one in slots), distinct_groups=distinct)


@dataclass(frozen=True)
class Case:
    rule: str
    quorum: Quorum
    approvers: tuple[Identity, ...]
    filled: int


CASES = [
    Case("nobody has to agree", Quorum(), (), 0),
    Case("one of a group", of("sre"), (who("a", "sre"),), 1),
    Case("of another group", of("sre"), (who("a", "dev"),), 0),
    Case("a group of the same name elsewhere", of("sre"), (who("a", "sre", issuer="https://other"),), 0),
    Case("a longer path is another group", of("admin"), (who("a", "/tenant/admin"),), 0),
    Case("a slot for nobody is filled by nobody", Quorum(slots=(Slot(),)), (who("a", "sre"),), 0),
    Case("by name", Quorum(slots=(Slot(people=(person("a"),)),)), (who("a"),), 1),
    Case("two of one group, where that is enough", of("sre", "sre", distinct=False), (who("a", "sre"), who("b", "sre")), 2),
    Case("two of one group are one of two groups", of("sre sec", "sre sec"), (who("a", "sre"), who("b", "sre")), 1),
    Case("two groups", of("sre", "sec"), (who("a", "sre"), who("b", "sec")), 2),
    Case("one who is in both is one", of("sre", "sec"), (who("a", "sre sec"),), 1),
    Case("who is in both leaves the slot to who is not", of("sre", "sec"), (who("a", "sre sec"), who("b", "sre")), 2),
    Case("... in whatever order they came", of("sre", "sec"), (who("b", "sre"), who("a", "sre sec")), 2),
    Case("twice the same person", of("sre", "sre", distinct=False), (who("a", "sre"), who("a", "sre")), 1),
    Case("who asked", of("sre"), (who("me", "sre"),), 0),
    Case("a delegate of who asked", of("sre"), (who("a", "sre", acts_for="me"),), 0),
    Case("a delegate of who approved", of("sre", "sec"), (who("a", "sre"), who("b", "sec", acts_for="a")), 1),
    Case("a delegate of somebody else", of("sre", "sec"), (who("a", "sre"), who("b", "sec", acts_for="c")), 2),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_slots_filled(case: Case) -> None:
    for approvers in permutations(case.approvers):
        assert len(fill(case.quorum, approvers, person("me"))) == case.filled
        assert is_met(case.quorum, approvers, person("me")) == (case.filled == len(case.quorum.slots))


def test_somebody_who_may_not_is_told_why() -> None:
    quorum = of("sre")
    assert "themselves" in may_approve(who("me", "sre"), person("me"), quorum)
    assert "delegate" in may_approve(who("a", "sre", acts_for="me"), person("me"), quorum)
    assert "none of their groups" in may_approve(who("a", "dev"), person("me"), quorum)
    assert may_approve(who("a", "sre"), person("me"), quorum) == ""


def test_a_crowd_costs_no_more() -> None:
    crowd = [who(f"p{number}", "sre sec dev ops") for number in range(2_000)]
    assert not is_met(of("sre", "sec", "dev", "ops", "cto"), crowd, person("me"))


@pytest.mark.parametrize("text", ["sre", "#sre", "https://login.example.com#", ""])
def test_a_group_without_its_issuer_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="ISSUER#NAME"):
        group(text)


_NAMES = st.sampled_from("abcdef")
_GROUPS = st.sets(st.sampled_from(["sre", "sec", "dev"]), max_size=3).map(" ".join)
_IDENTITIES = st.builds(
    who, _NAMES, _GROUPS, acts_for=st.sets(st.sampled_from(["a", "me"]), max_size=1).map(" ".join)
)


@given(
    st.lists(_GROUPS, max_size=3).map(lambda slots: of(*slots)),
    st.lists(_IDENTITIES, max_size=6, unique_by=lambda one: one.person),
)
def test_each_slot_is_somebody_elses(quorum: Quorum, approvers: list[Identity]) -> None:
    filled = fill(quorum, approvers, person("me"))
    assert len({one.person for one in filled}) == len(filled)
    assert len({one.group for one in filled}) == len(filled)
    assert person("me") not in {one.person for one in filled}
    for one in filled:
        assert one.group in quorum.slots[one.slot].groups


def test_groups_that_were_asked_are_told_and_no_others() -> None:
    asked = of("sre platform", "sec")
    assert asked_groups(who("ann", "sec sre dev"), asked) == groups("sre sec")
    assert asked_groups(who("ann", "dev"), asked) == ()
