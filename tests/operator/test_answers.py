"""A copy that trails our own calls: what is seen is never older than what was answered, and never comes back from the dead."""

import pytest

from aliquot.operator.answers import Answers

Obj = dict[str, dict[str, str]]


def at(revision: int) -> Obj:
    return {"metadata": {"resourceVersion": str(revision)}}


@pytest.mark.parametrize(
    ("what", "before", "cached", "seen"),
    [
        ("the cache has not moved", 5, 5, 9),
        ("it has moved, and not as far", 5, 7, 9),
        ("it has the answer", 5, 9, 9),
        ("it has what came later", 5, 12, 12),
        ("it was made by the call", None, None, 9),
        ("... and the cache has it", None, 9, 9),
        ("it was deleted since", 5, None, None),
        ("it was deleted and made anew", 5, 14, 14),
    ],
    ids=str,
)
def test_what_is_seen(what: str, before: int | None, cached: int | None, seen: int | None) -> None:
    answers: Answers[Obj] = Answers()
    answers.put("a", at(before) if before else None, at(9))
    expected = at(seen) if seen else None
    assert answers.newest("a", at(cached) if cached else None) == expected
    # And it stays so, for others are not concerned.
    assert answers.newest("b", None) is None
    assert answers.newest("a", at(20)) == at(20)
    assert answers.newest("a", at(20)) == at(20)


def test_an_answer_that_comes_late_does_not_take_a_later_one_back() -> None:
    answers: Answers[Obj] = Answers()
    answers.put("a", at(5), at(9))
    answers.put("a", at(5), at(8))
    assert answers.newest("a", at(5)) == at(9)
    answers.forget("a")
    assert answers.newest("a", at(5)) == at(5)
