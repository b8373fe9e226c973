"""The ways between stages, word for word: what the store's trigger lets by is no accident."""

from aliquot.access.core.life.stages import FINAL, IN_CLUSTER, INITIAL, LEGAL, WAYS, Stage

GOLDEN = {
    "pending": "activating approved denied ended lapsed scheduled withdrawn",
    "approved": "activating ended withdrawn",
    "scheduled": "activating ended withdrawn",
    "activating": "active ending",
    "active": "ending",
    "ending": "ended",
    "denied": "",
    "withdrawn": "",
    "lapsed": "",
    "ended": "",
}


def test_there_are_no_other_ways() -> None:
    found = {
        stage.value: " ".join(sorted(after for before, after in LEGAL if before is stage)) for stage in Stage
    }
    assert found == GOLDEN


def test_each_way_is_told_once() -> None:
    assert len(WAYS) == len(LEGAL)
    assert all(way.when for way in WAYS)


def test_nothing_leaves_an_end_and_all_else_leads_to_one() -> None:
    assert not [way for way in WAYS if way.before in FINAL]
    reached = {INITIAL}
    while more := {after for before, after in LEGAL if before in reached} - reached:
        reached |= more
    assert reached == set(Stage)


def test_what_may_be_in_a_cluster_leaves_it_by_ending_alone() -> None:
    out = {before for before, after in LEGAL if before in IN_CLUSTER and after not in IN_CLUSTER}
    assert out == {Stage.ENDING}
