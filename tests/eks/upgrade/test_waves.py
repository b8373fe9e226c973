"""Which clusters of a fleet may begin."""

import pytest

from aliquot.eks.upgrade.journal import Phase
from aliquot.eks.upgrade.waves import Member, Progress, next_clusters, order, recorded, waits_for

T, B, G, H, D = Progress.TO_COME, Progress.BEGUN, Progress.GOING, Progress.HELD, Progress.DONE


def fleet(*rows: tuple[str, str, Progress]) -> list[Member]:
    return [Member(cluster=cluster, wave=wave, progress=progress) for cluster, wave, progress in rows]


@pytest.mark.parametrize(
    ("rows", "at_once", "begin"),
    [
        ([("dev", "1", T), ("stage", "2", T)], 3, ["dev"]),
        ([("dev", "1", G), ("stage", "2", T)], 3, []),
        ([("dev", "1", D), ("stage", "2", T)], 3, ["stage"]),
        ([("dev", "1", H), ("stage", "2", T)], 3, []),
        ([("dev", "1", D), ("dev2", "1", H), ("dev3", "1", T)], 3, []),
        ([("a", "1", T), ("b", "1", T), ("c", "1", T)], 2, ["a", "b"]),
        ([("a", "1", G), ("b", "1", T), ("c", "1", T)], 2, ["b"]),
        ([("a", "1", G), ("b", "1", G), ("c", "1", T)], 2, []),
        ([("a", "", T), ("b", "prod", T), ("c", "10", T), ("d", "9", T)], 9, ["d"]),
        ([("a", "1", D)], 1, []),
        # Whoever was killed in the middle goes on, though another is held; nobody new begins beside it.
        ([("a", "1", H), ("b", "1", B), ("c", "1", T)], 3, ["b"]),
        ([("a", "1", H), ("b", "2", B), ("c", "2", T)], 3, ["b"]),
        ([("a", "1", T), ("b", "1", B)], 1, ["b"]),
        ([("a", "1", T), ("b", "1", B)], 2, ["b", "a"]),
        ([("a", "1", G), ("b", "1", B), ("c", "1", B)], 2, ["b"]),
        ([("a", "1", B), ("b", "2", T)], 2, ["a"]),
        ([], 1, []),
    ],
)
def test_who_begins(rows: list[tuple[str, str, Progress]], at_once: int, begin: list[str]) -> None:
    assert next_clusters(fleet(*rows), at_once) == begin


@pytest.mark.parametrize(
    ("over", "phases", "progress"),
    [
        ("", [Phase.TO_DO, Phase.TO_DO], T),
        ("", [Phase.DONE, Phase.TO_DO], B),
        ("", [Phase.BEGUN, Phase.TO_DO], B),
        ("", [Phase.DONE, Phase.HELD, Phase.TO_DO], H),
        ("", [Phase.DONE, Phase.LEFT, Phase.TO_DO], B),
        ("done", [Phase.DONE], D),
        ("aborted", [Phase.DONE, Phase.LEFT], H),
    ],
)
def test_how_far_a_member_is(over: str, phases: list[Phase], progress: Progress) -> None:
    assert recorded(over, phases) is progress


def test_waves_by_number_then_word_then_none() -> None:
    assert order(fleet(("a", "", T), ("b", "prod", T), ("c", "10", T), ("d", "9", T))) == [
        "9",
        "10",
        "prod",
        "",
    ]


def test_it_says_whom_it_waits_for() -> None:
    assert "held: dev;" in waits_for(fleet(("dev", "1", H), ("stage", "2", T)))
    assert waits_for(fleet(("dev", "1", H), ("dev2", "1", G))) == ""
    assert waits_for(fleet(("dev", "1", D))) == ""
