"""For all tests: what the programs that they start find, whatever the tests themselves were started by."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests.sql.servers import database_url, own_server, postgresql, postgresql_servers

__all__ = ["database_url", "own_server", "postgresql", "postgresql_servers"]

# In a shell's background, or under nohup, these are ignored: programs would inherit it, and nothing could be tried on
# them. A handler is not inherited.
for _number, _handler in {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: lambda *_: None}.items():
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# How long an example takes is the machine's business. Each run draws other ones: many runs find what one does not.
hypothesis.settings.register_profile("untimed", deadline=None, max_examples=25)
hypothesis.settings.load_profile("untimed")

# Without bytecode every `aliquot` that a test runs compiles hundreds of modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_LONGEST = Path(__file__).parent / "simulation"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that with two workers none is alone with one of them at the end."""
    items.sort(key=lambda item: not item.path.is_relative_to(_LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test that passed has logged is kept for the whole session otherwise, and sent from worker to master."""
    report = yield
    if report.passed:
        report.sections.clear()
    return report


@pytest.fixture(autouse=True)
def _log_as_at_first() -> Iterator[None]:
    """A command that a test runs in this process says how much is logged: for that test alone."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _garbage_is_collected_as_at_first() -> Iterator[None]:
    """A command that a test runs in this process settles for more of it: for that test alone, or a worker only grows."""
    before = gc.get_threshold()
    yield
    if gc.get_threshold() != before:
        gc.set_threshold(*before)
        gc.unfreeze()
