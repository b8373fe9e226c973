"""When a device has surely left kubelet's hands."""

from aliquot.node.pod_resources import Allocations
from aliquot.node.withdrawals import PATIENCE_S, UNSEEN_S, Withdrawals


def allocatable(*ids: str, at: float, failure: str = "") -> Allocations:
    return Allocations(listed={"nvidia.com/gpu": frozenset(ids)}, asked_at=at, failure=failure)


def withdrawn(*, listed_before: bool) -> Withdrawals:
    book = Withdrawals()
    book.look(allocatable(*(["a"] if listed_before else []), at=99))
    book.want({"a"}, 100)
    return book


def test_a_listed_device_is_released_once_it_is_gone_from_the_list() -> None:
    book = withdrawn(listed_before=True)
    assert book.released(allocatable("a", at=101)) == frozenset()
    assert book.released(allocatable(at=101)) == {"a"}


def test_an_answer_from_before_the_withdrawal_releases_nothing() -> None:
    assert withdrawn(listed_before=True).released(allocatable(at=99.9)) == frozenset()


def test_a_question_that_failed_releases_nothing() -> None:
    assert withdrawn(listed_before=True).released(allocatable(at=101, failure="no answer")) == frozenset()


def test_a_device_that_was_never_listed_has_to_stay_away_for_a_while() -> None:
    book = withdrawn(listed_before=False)
    assert book.released(allocatable(at=100 + UNSEEN_S / 2)) == frozenset()
    assert book.released(allocatable(at=100 + UNSEEN_S)) == {"a"}


def test_a_device_that_appears_late_on_the_list_has_to_leave_it() -> None:
    book = withdrawn(listed_before=False)
    book.look(allocatable("a", at=101))
    assert book.released(allocatable("a", at=110)) == frozenset()
    book.look(allocatable(at=111))
    assert book.released(allocatable(at=111)) == {"a"}


def test_a_device_that_is_no_longer_to_leave_comes_back() -> None:
    book = withdrawn(listed_before=True)
    book.want((), 102)
    assert not book.device_ids()
    assert book.released(allocatable(at=103)) == frozenset()


def test_wanting_the_same_again_does_not_begin_anew() -> None:
    book = withdrawn(listed_before=True)
    book.want({"a"}, 120)
    assert book.overdue(100 + PATIENCE_S + 1) == ("a",)
