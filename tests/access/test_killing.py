"""The kill switch, a command at a time."""

from typing import Any

from aliquot.access.core.killing import KillSwitch, clear, pull
from aliquot.access.core.limits import stopped
from aliquot.access.core.people import Identity
from aliquot.access.core.refusals import Ground, Refused
from tests.access.life.scenery import PEOPLE, START_S, person, policy_of, slots, who

POLICY = policy_of()
MAX, MIA = PEOPLE[person("max")], PEOPLE[person("mia")]


def pulled(switch: KillSwitch, by: Identity = MAX, pull_id: str = "one", **other: Any) -> KillSwitch:
    done = pull(switch, by, "stop", pull_id=pull_id, now_s=START_S, policy=POLICY, **other)
    assert isinstance(done, KillSwitch)
    return done


def cleared(switch: KillSwitch, by: Identity, *, number: int | None = None) -> KillSwitch:
    number = switch.pulls if number is None else number
    done = clear(switch, by, PEOPLE, pull=number, policy=POLICY)
    assert isinstance(done, KillSwitch), done
    return done


def test_one_pulls_and_two_clear() -> None:
    switch = pulled(KillSwitch())
    assert switch.is_pulled
    half = cleared(switch, MAX)
    assert half.is_pulled
    whole = cleared(half, MIA)
    assert not whole.is_pulled
    assert stopped(whole) is None


def test_the_same_person_twice_is_one() -> None:
    half = cleared(pulled(KillSwitch()), MAX)
    assert cleared(half, MAX) is half
    assert half.is_pulled


def test_who_is_not_of_those_who_may() -> None:
    switch = KillSwitch()
    dev = PEOPLE[person("dev")]
    done = pull(switch, dev, "stop", pull_id="one", now_s=START_S, policy=POLICY)
    assert isinstance(done, Refused)
    assert done.ground is Ground.FORBIDDEN
    done = clear(pulled(switch), dev, PEOPLE, pull=1, policy=POLICY)
    assert isinstance(done, Refused)
    assert done.ground is Ground.FORBIDDEN


def test_a_pull_that_comes_again_changes_nothing() -> None:
    switch = pulled(KillSwitch())
    assert pulled(switch) is switch
    assert pulled(switch, MIA, "two") is switch, "it is pulled"
    clear_again = cleared(cleared(switch, MAX), MIA)
    assert pulled(clear_again) is clear_again, "late, and heard already"
    assert pulled(clear_again, MIA, "two").is_pulled


def test_consent_is_to_one_pull() -> None:
    first = cleared(pulled(KillSwitch()), MAX)
    second = pulled(cleared(first, MIA), MIA, "two")
    assert (second.pulls, second.clearing) == (2, ())
    done = clear(second, MAX, PEOPLE, pull=1, policy=POLICY)
    assert isinstance(done, Refused)
    assert done.ground is Ground.CONFLICT
    assert cleared(second, MAX).is_pulled


def test_who_left_meanwhile_counts_no_more() -> None:
    half = cleared(pulled(KillSwitch()), MAX)
    for known in ({}, {MAX.person: who("max", "dev")}):
        done = clear(half, MIA, known, pull=1, policy=POLICY)
        assert isinstance(done, KillSwitch)
        assert done.is_pulled


def test_two_of_different_groups_where_that_is_asked() -> None:
    policy = policy_of(clearing=slots("security", "sre"))
    half = clear(pulled(KillSwitch()), MAX, PEOPLE, pull=1, policy=policy)
    assert isinstance(half, KillSwitch)
    same = clear(half, MIA, PEOPLE, pull=1, policy=policy)
    assert isinstance(same, KillSwitch)
    assert same.is_pulled
    both = clear(half, PEOPLE[person("sara")], PEOPLE, pull=1, policy=policy)
    assert isinstance(both, KillSwitch)
    assert not both.is_pulled


def test_one_that_is_not_known_stops_everybody() -> None:
    found = stopped(None)
    assert found is not None
    assert found.ground is Ground.UNKNOWN
