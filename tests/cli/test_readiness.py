from aliquot.cli.readiness import MOST_NAMED, Readiness, described

WHY = "PluginNotRegistered: kubelet refuses it"


def readiness(nodes: int = 3) -> Readiness:
    return Readiness(nodes, begun=100.0, patience_s=10.0)


def test_all_ready_is_said_once() -> None:
    told = readiness()
    assert told.look({}, 100.1) == ["3 nodes ready"]
    assert told.settled
    assert told.look({}, 101.0) == []


def test_one_node_is_not_nodes() -> None:
    assert readiness(1).look({}, 100.1) == ["1 node ready"]


def test_progress_is_told_at_a_reading_pace() -> None:
    told = readiness()
    said = {now: told.look({"a": WHY}, now) for now in (100.0, 101.9, 102.0, 103.9, 104.0)}
    assert said == {
        100.0: [],
        101.9: [],
        102.0: ["2 of 3 nodes ready"],
        103.9: [],
        104.0: ["2 of 3 nodes ready"],
    }
    assert not told.settled


def test_a_node_that_stays_not_ready_is_named_once_with_its_reason_and_again_when_it_is_ready() -> None:
    told = readiness()
    assert told.look({"a": WHY}, 110.0) == [f"a is not ready: {WHY}", "2 of 3 nodes ready"]
    assert told.settled
    assert told.look({"a": "another reason"}, 111.0) == []
    assert told.look({}, 112.0) == ["3 nodes ready"]


def test_a_node_that_falls_behind_later_is_news() -> None:
    told = readiness()
    told.look({}, 100.0)
    assert told.look({"a": WHY}, 200.0) == [f"a is not ready: {WHY}", "2 of 3 nodes ready"]
    assert told.look({"a": WHY, "b": WHY}, 201.0) == [f"b is not ready: {WHY}", "1 of 3 nodes ready"]


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    lines = described({f"n{i}": WHY for i in range(MOST_NAMED)}, of=MOST_NAMED + 1)
    assert len(lines) == MOST_NAMED + 1
    assert lines[-1] == "and 1 more node"
    assert described({"n": WHY}, of=1) == [f"n is not ready: {WHY}"]
