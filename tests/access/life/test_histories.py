"""A few of the histories that `make soak` has thousands of: always the same ones, so that a change is what fails."""

from tests.access.life import histories


def test_all_invariants_hold() -> None:
    histories.REACHED.clear()
    histories.run(150)
    for what in ("grant.active", "grant.extended", "minted", "review.closed", "review.overdue"):
        assert histories.REACHED[what], f"{what}: never come to"
    for what in ("expired", "killed", "policy_changed", "not_eligible", "window_passed"):
        assert histories.REACHED[f"ended: {what}"], f"{what}: never come to"
