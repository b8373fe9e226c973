"""Who may start: one row for each limit, and what is true of every roll."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.operator.core.upgrade.memory import Memory
from aliquot.operator.core.upgrade.node import DriverPod, GPUPod, UpgradeNode, Validation
from aliquot.operator.core.upgrade.roll import starts
from aliquot.operator.core.upgrade.rules import Rules, Share
from aliquot.operator.core.upgrade.states import UNDER_WAY, State
from aliquot.windows import Window

NOON_S = 1_767_268_800.0
"""Thursday, 1 January 2026, 12:00 UTC."""
ALL = Rules(max_parallel=0, max_unavailable=Share(percent=100), canary_nodes=0)
NIGHTLY = Window("0 22 * * *", 6 * 3600.0)


def nodes(text: str) -> list[UpgradeNode]:
    """`a b! c@job d+ e* f~60 g- h?`: they wait; cordoned; with a pod of a gang; under way; failed; done 60 s ago; not ready; without
    a driver that works."""
    return [_node(word) for word in text.split()]


def _node(word: str) -> UpgradeNode:
    name, _, gangs = word.partition("@")
    name, _, done_s = name.partition("~")
    bare = name.rstrip("!+*-?")
    marks = name[len(bare) :]
    pods = tuple(GPUPod(f"default/{gang}-{bare}", gang=gang) for gang in gangs.split(",") if gang)
    state = State.UPGRADE_REQUIRED
    if "+" in marks:
        state = State.POD_DELETION_REQUIRED
    elif "*" in marks:
        state = State.UPGRADE_FAILED
    elif done_s:
        state = State.UPGRADE_DONE
    return UpgradeNode(
        bare,
        "v2",
        state,
        Memory(revision="v2", since_s=NOON_S - float(done_s or 0)),
        DriverPod(f"driver-{bare}", "v2" if done_s else "v1", "?" not in marks),
        pods,
        is_cordoned="!" in marks or "+" in marks,
        is_ready="-" not in marks,
        validation=Validation.PASSED,
    )


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: str
    start: str
    rules: Rules
    says: str = ""


CASES = [
    Case("one at a time, as shipped", "a b c d", "a", replace(ALL, max_parallel=1), "1 node is under way at most"),
    Case("one is under way", "a+ b c d", "", replace(ALL, max_parallel=1), "1 node is under way at most"),
    Case("two at a time", "a+ b c d", "b", replace(ALL, max_parallel=2)),
    Case("all", "a b c d", "a b c d", ALL),
    Case("half of them", "a b c d", "a b", replace(ALL, max_unavailable=Share(percent=50)), "2 nodes are out of use at most"),
    Case("a part of a node is rounded up", "a b c", "a", replace(ALL, max_unavailable=Share(percent=1))),
    Case("none", "a b c", "", replace(ALL, max_unavailable=Share(count=0)), "0 nodes are out of use at most"),
    Case("who is not ready is out of use", "a b c- d", "c a", replace(ALL, max_unavailable=Share(count=2))),
    Case("whom somebody closed costs nothing", "a b! c! d", "b c", replace(ALL, max_unavailable=Share(count=2))),
    Case("... but is under way", "a! b! c", "a", replace(ALL, max_parallel=1)),
    Case("who is out of use is named", "a b-~9 c!~9 d", "", replace(ALL, max_unavailable=Share(count=1)), "1 node is out of use at most, and b is not ready, c is cordoned"),
    Case("... the first three", "a b-~9 c-~9 d-~9 e-~9", "", replace(ALL, max_unavailable=Share(count=1)), "c is not ready, d is not ready and 1 more"),
    Case("too many out of use already", "a- b- c- d e", "a b c", replace(ALL, max_unavailable=Share(count=2))),
    Case("those first whose pods are fewest", "a@x b c@y,z d", "b d", replace(ALL, max_parallel=2)),
    Case("one has failed: nobody", "a b* c", "", ALL, "node b has failed"),
    Case("the nodes of a gang together", "a@job b@job c", "c a b", ALL),
    Case("... or later", "a@job b@job c", "c", replace(ALL, max_parallel=2)),
    Case("... when there is room for all", "a@job b@job c~9", "a b", replace(ALL, max_parallel=2)),
    Case("gangs that meet on a node are one", "a@x b@x,y c@y d@z", "d", replace(ALL, max_parallel=3)),
    Case("a gang that never fits goes in parts", "a@job b@job c@job", "a", replace(ALL, max_parallel=2)),
    Case("... nor beside who is out of use anyway", "a@job b@job c-~9", "a", replace(ALL, max_unavailable=Share(count=2))),
    Case("... but it waits for who is under way", "a@job b@job c+", "", replace(ALL, max_unavailable=Share(count=2))),
    Case("the first alone", "a b c d", "a", replace(ALL, canary_nodes=1), "the first node goes alone"),
    Case("it is under way", "a+ b c d", "", replace(ALL, canary_nodes=1)),
    Case("it has to stay well for a while", "a~60 b c", "", replace(ALL, canary_nodes=1), "node a has to stay well for 600 s"),
    Case("it did", "a~601 b c", "b c", replace(ALL, canary_nodes=1)),
    Case("it is not ready any more: another", "a-~601 b c", "b", replace(ALL, canary_nodes=1)),
    Case("two of them", "a~601 b c d", "b", replace(ALL, canary_nodes=2)),
    Case("two of them have to stay well", "a~601 b~9 c", "", replace(ALL, canary_nodes=2), "the first 2 nodes have to stay well for 600 s"),
    Case("where no driver works nothing is lost", "a b? c? d", "a b c", replace(ALL, canary_nodes=1), "the first node goes alone"),
    Case("... while the first has to stay well", "a~60 b? c d?", "b d", replace(ALL, canary_nodes=1), "stay well"),
    Case("... within the limits", "a~60 b? c d?", "b", replace(ALL, canary_nodes=1, max_parallel=1)),
    Case("a gang larger than they are goes in parts", "a@job b@job", "a", replace(ALL, canary_nodes=1)),
    Case("fewer nodes than canaries", "a b", "a b", replace(ALL, canary_nodes=5)),
    Case("the window is closed", "a b", "", replace(ALL, windows=(NIGHTLY,)), "the maintenance window is closed"),
    Case("one of them is open", "a b", "a b", replace(ALL, windows=(NIGHTLY, Window("0 11 * * 4", 7200.0)))),
    Case("open where it is", "a b", "a b", replace(ALL, windows=(Window("0 20 * * *", 6 * 3600.0, "Asia/Tokyo"),))),
    Case("just closed", "a b", "", replace(ALL, windows=(Window("0 11 * * *", 3600.0),))),
    Case("just opened", "a b", "a b", replace(ALL, windows=(Window("0 12 * * *", 3600.0),))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_who_starts(case: Case) -> None:
    found = starts(nodes(case.nodes), case.rules, NOON_S)
    assert sorted(found.nodes) == sorted(case.start.split())
    assert case.says in found.held_back
    assert all(step.state is State.CORDON_REQUIRED for step in found.nodes.values())


def test_a_closed_window_says_when_it_opens() -> None:
    assert starts(nodes("a"), replace(ALL, windows=(NIGHTLY,)), NOON_S).look_again_s == 10 * 3600


def test_who_starts_goes_to_what_is_wanted_now() -> None:
    (node,) = nodes("a")
    moved_on = replace(node, wanted_revision="v3")
    assert starts([moved_on], ALL, NOON_S).nodes["a"].memory.revision == "v3"


def test_by_hand_only_those_start_that_were_asked_for() -> None:
    fleet = nodes("a b")
    asked = replace(fleet[1], memory=Memory(revision="v2", asked=True))
    assert [*starts([fleet[0], asked], replace(ALL, auto=False), NOON_S).nodes] == ["b"]


WORDS = st.lists(
    st.tuples(
        st.sampled_from(["", "!", "+", "-", "!-"]), st.sampled_from(["", "@x", "@y", "@x,y", "@z", "~9"])
    ),
    max_size=12,
)


@given(WORDS, st.integers(0, 5), st.integers(0, 12), st.integers(0, 3))
def test_no_roll_exceeds_its_limits(
    words: Sequence[tuple[str, str]], parallel: int, unavailable: int, canaries: int
) -> None:
    fleet = nodes(" ".join(f"n{number}{mark}{more}" for number, (mark, more) in enumerate(words)))
    rules = Rules(max_parallel=parallel, max_unavailable=Share(count=unavailable), canary_nodes=canaries)
    found = starts(fleet, rules, NOON_S).nodes
    before = {node.name for node in fleet if node.is_cordoned or not node.is_ready or node.state in UNDER_WAY}
    after = before | found.keys()
    assert len(after) <= max(unavailable, len(before))
    under_way = sum(node.state in UNDER_WAY for node in fleet)
    assert not parallel or not found or len(found) + under_way <= parallel
