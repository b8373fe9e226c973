import pytest

from aliquot.partition.integer_program import IntegerProgram, Outcome, whole_bound


def knapsack() -> tuple[IntegerProgram, list[int]]:
    """At most 10 of weight, in pieces of 3, 4 and 5."""
    program = IntegerProgram()
    columns = [program.column(2) for _ in range(3)]
    program.row(zip(columns, (3, 4, 5), strict=True), at_most=10)
    return program, columns


def test_aims_one_after_the_other() -> None:
    program, columns = knapsack()
    weight = dict(zip(columns, (-3.0, -4.0, -5.0), strict=True))
    first = program.minimise(weight, within_s=5)
    assert (first.outcome, first.objective, first.bound) == (Outcome.OPTIMAL, -10, -10)
    program.hold(weight, first.objective)
    pieces = dict.fromkeys(columns, 1.0)
    second = program.minimise(pieces, within_s=5, start=first.values)
    assert (second.objective, list(second.values)) == (2, [0, 0, 2])
    most = program.minimise({c: -v for c, v in pieces.items()}, within_s=5, start=first.values)
    assert (most.objective, list(most.values)) == (-3, [2, 1, 0])


def test_a_column_may_come_up_twice_in_a_row() -> None:
    program = IntegerProgram()
    column = program.column()
    program.row([(column, 1), (column, 1)], at_most=5)
    assert program.minimise({column: -1}, within_s=5).values[column] == 2


def test_what_cannot_be_is_said() -> None:
    program, columns = knapsack()
    program.row([(columns[0], 1)], at_least=3)
    assert program.minimise({columns[0]: 1}, within_s=5).outcome is Outcome.INFEASIBLE
    assert program.relaxed({columns[0]: 1}).outcome is Outcome.INFEASIBLE


def test_no_time_gives_what_is_known() -> None:
    program, columns = knapsack()
    aim = {columns[2]: -5.0}
    assert program.minimise(aim, within_s=0).outcome is Outcome.NOTHING
    known = program.minimise(aim, within_s=0, start=[0, 0, 1])
    assert known.outcome is Outcome.BEST_SO_FAR and known.found
    assert (known.objective, known.bound) == (-5, float("-inf"))


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    program, columns = knapsack()
    program.minimise({columns[0]: -1}, within_s=5)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("bound", "whole"), [(2.0000001, 2), (2.1, 3), (-1.9999999, -2), (0.0, 0), (float("-inf"), float("-inf"))]
)
def test_bounds_of_whole_numbers(bound: float, whole: float) -> None:
    assert whole_bound(bound) == whole
