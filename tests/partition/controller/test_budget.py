from aliquot.partition.controller.budget import MoveBudget


def test_moves_come_back_after_an_hour() -> None:
    budget = MoveBudget(3)
    assert budget.left(0) == 3
    budget.use(2, 100)
    budget.use(1, 200)
    assert budget.left(300) == 0
    assert budget.left(3700) == 2
    assert budget.left(3800) == 3
