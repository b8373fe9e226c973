from collections.abc import Iterator
from pathlib import Path

import pytest

from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from tests.access.identity.laptop import Laptop
from tests.access.identity.provider import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    database = Database(f"sqlite:///{tmp_path}/access.db")
    database.prepare()
    store = Store(database, clock=clock, threads=False)
    yield store
    store.close()


@pytest.fixture
def laptop(store: Store, clock: Clock) -> Laptop:
    return Laptop(store, clock)
