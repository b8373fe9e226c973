"""Since when nobody has needed a device."""

from aliquot.partition.controller.idle import IdleSince, Place

A: Place = ("gpu0", 0)
B: Place = ("gpu0", None)


def test_what_was_free_all_the_time_is_idle_and_nothing_else() -> None:
    idle = IdleSince()
    idle.look([A], now=100)
    idle.look([A, B], now=150)
    assert idle.longer_than(60, now=159) == frozenset()
    assert idle.longer_than(60, now=160) == {A}
    assert idle.longer_than(60, now=210) == {A, B}


def test_who_was_needed_in_between_begins_anew() -> None:
    idle = IdleSince()
    idle.look([A], now=100)
    idle.look([], now=150)
    idle.look([A], now=151)
    assert idle.longer_than(60, now=210) == frozenset()
    assert idle.longer_than(60, now=211) == {A}


def test_when_to_look_again() -> None:
    idle = IdleSince()
    assert idle.next_in_s(60, now=100) is None
    idle.look([A], now=100)
    idle.look([A, B], now=120)
    assert idle.next_in_s(60, now=130) == 30
    assert idle.next_in_s(60, now=160) == 20
    assert idle.next_in_s(60, now=180) is None
