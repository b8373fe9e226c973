"""The snapshot and tentative decisions on it, step by step."""

from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, describe, node, placed, pod


def test_a_pod_is_remembered_for_a_node_not_seen_yet() -> None:
    snapshot = Snapshot()
    snapshot.set_pod(placed(pod("p", gpu=1), "a gpu0"))
    assert dict(snapshot.nodes) == {}
    snapshot.set_facts(node("a", "whole", "whole"))
    assert snapshot.nodes["a"].available(GPU) == 1


def test_facts_that_say_nothing_new_are_no_change() -> None:
    snapshot = Snapshot()
    assert snapshot.set_facts(node("a", "whole"))
    version = snapshot.version
    assert not snapshot.set_facts(node("a", "whole"))
    assert snapshot.version == version


def test_an_ended_pod_holds_nothing_until_it_is_deleted_and_only_the_list_speaks() -> None:
    snapshot = Snapshot()
    snapshot.set_facts(node("a", "whole=default/p"))
    snapshot.set_pod(placed(pod("p", gpu=1), "a gpu0"))
    assert snapshot.nodes["a"].available(GPU) == 0
    snapshot.end_pod("default/p", "a")
    assert snapshot.nodes["a"].available(GPU) == 1
    # Nobody knows now whether the list speaks of that pod or of one that was never seen.
    snapshot.remove_pod("default/p")
    assert snapshot.nodes["a"].available(GPU) == 0


def test_a_pod_that_is_seen_elsewhere_than_assumed_frees_its_place() -> None:
    snapshot = Snapshot()
    for name in "ab":
        snapshot.set_facts(node(name, gpus=1))
    Session(snapshot).place(pod("p", gpu=1), "a")
    snapshot.set_pod(placed(pod("p", gpu=1), "b"))
    assert [snapshot.nodes[name].available(GPU) for name in "ab"] == [1, 0]
    assert (set(snapshot.pods_on("a")), set(snapshot.pods_on("b"))) == (set(), {"default/p"})


def test_undo_puts_back_what_was_there_before() -> None:
    snapshot = Snapshot()
    for name in "ab":
        snapshot.set_facts(node(name, gpus=1))
    session = Session(snapshot)
    session.place(pod("p", gpu=1), "a")
    mark = session.checkpoint()
    session.place(pod("p", gpu=1), "b")
    session.undo(mark)
    assert describe(snapshot.pods["default/p"]) == "a"
    session.undo()
    assert dict(snapshot.pods) == {}
    assert [snapshot.nodes[name].available(GPU) for name in "ab"] == [1, 1]
