"""Commands that tests run in this process."""

import pytest

from aliquot.kube import cache


@pytest.fixture(autouse=True)
def _nothing_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that reads much looks through all of its process' memory first: here that of a thousand tests before."""
    monkeypatch.setattr(cache, "settle_gc", lambda: None)
