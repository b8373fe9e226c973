from aliquot.emulator.controllers.restarts import Restarts


def test_the_wait_doubles_with_each_failure() -> None:
    restarts = Restarts(first_s=1.0, longest_s=5.0)
    assert restarts.wait_s("here", "a", 0.0) == 0.0
    assert restarts.wait_s("here", "b", 0.0) == 1.0
    assert restarts.wait_s("here", "b", 0.5) == 0.5
    assert restarts.wait_s("elsewhere", "b", 0.5) == 0.0
    assert [restarts.wait_s("here", name, 1.0) for name in "cdef"] == [2.0, 4.0, 5.0, 5.0]


def test_after_a_rest_it_begins_anew() -> None:
    restarts = Restarts(first_s=1.0, longest_s=5.0)
    for name in "abc":
        restarts.wait_s("here", name, 0.0)
    assert restarts.wait_s("here", "d", 10.0) == 4.0
    assert restarts.wait_s("here", "e", 21.0) == 0.0
