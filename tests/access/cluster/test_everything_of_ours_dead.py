"""The published bounds: when the last credential of a grant is refused, whoever has died, and that what a grant was goes too.

`make soak` lives ten thousand grants so; here are two hundred.
"""

import pytest

from aliquot.access.core import times
from tests.access.cluster import lives
from tests.access.cluster.lives import Life


def uses_after_expiry(found: list[Life]) -> int:
    """Credentials that were taken almost for as long as Kubernetes takes one that has run out: without any, nothing was tried."""
    almost_s = times.LEEWAY_S - 10
    return sum(use.last_s > use.credential.expires_s + almost_s for life in found for use in life.uses)


@pytest.mark.parametrize(("seed", "count"), [(1, 80), (2, 40)])
def test_everything_of_ours_dead(seed: int, count: int) -> None:
    found, wrong = lives.run(seed, count, "all of ours dead", storm=seed == 1)
    assert wrong == []
    assert sum(life.made for life in found) > count / 3
    assert uses_after_expiry(found) > count / 8


def test_everything_dead_but_the_api_server() -> None:
    found, wrong = lives.run(3, 40, "all dead but the API server")
    assert wrong == []
    assert uses_after_expiry(found) > 5


def test_revoked_is_refused_within_the_bound() -> None:
    found, wrong = lives.run(4, 40, "revoked")
    assert wrong == []
    assert all(life.revoked_s is not None for life in found)
    # The server's memory of a good token is what the bound is about: it has been met.
    assert any(use.last_s > (life.revoked_s or 0) + 5 for life in found for use in life.uses)
