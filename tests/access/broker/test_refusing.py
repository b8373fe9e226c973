"""However often somebody is refused, the log has so many entries of it in a while, and all of them are counted."""

from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.broker.refusing import MOST, WITHIN_S, Refusing
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.log.entries import Draft
from tests.access.broker.world import caller

NO = Refused("it is not yours", Ground.FORBIDDEN)
TRIES = st.lists(
    st.tuples(
        st.sampled_from(["dev", "dave", "stranger"]),
        st.sampled_from(["approve", "extend"]),
        st.sampled_from([0.0, 1.0, WITHIN_S / 2, WITHIN_S]),
        st.integers(1, 30),
    ),
    max_size=30,
)


@given(TRIES)
def test_each_is_told_or_counted_once(tries: list[tuple[str, str, float, int]]) -> None:
    refusing, now_s = Refusing(), 1_700_000_000.0
    drafts: list[Draft] = []
    for who, what, after_s, times in tries:
        now_s += after_s
        for _ in range(times):
            drafts += refusing.draft(what, NO, caller(who), None, now_s)
    is_owing = refusing.is_owing(now_s)
    owed = list(refusing.over(now_s))
    assert is_owing is bool(owed)
    drafts += owed
    drafts += refusing.over(now_s + WITHIN_S)
    assert not list(refusing.over(now_s + 2 * WITHIN_S))
    for who in ("dev", "dave", "stranger"):
        for what in ("approve", "extend"):
            mine = [one for one in drafts if one.actor.sub == who]
            told = sum(one.action == f"refused.{what}" for one in mine)
            counted = sum(one.details["counted"].get(what, 0) for one in mine if one.action == "refused.more")
            assert told + counted == sum(one[3] for one in tries if one[:2] == (who, what))


@given(TRIES)
def test_in_no_while_are_there_more_than_twice_as_many(tries: list[tuple[str, str, float, int]]) -> None:
    refusing, now_s = Refusing(), 1_700_000_000.0
    at: list[float] = []
    for _, what, after_s, times in tries:
        now_s += after_s
        for _ in range(times):
            at += [now_s] * len(refusing.draft(what, NO, caller("stranger"), None, now_s))
    for first in at:
        assert sum(first <= one < first + WITHIN_S for one in at) <= 2 * MOST + 2
