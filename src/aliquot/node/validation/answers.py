"""What driver and toolkit give to this container. Blocks."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from aliquot.gpu.driver import Driver, DriverError
from aliquot.node.validation.checks import Answer


class Session(Driver, Protocol):
    """A driver that is there as long as it is open."""

    def close(self) -> None: ...


def answer_of(driver: Driver) -> Answer:
    try:
        return Answer(driver.version().driver, len(driver.gpus()), len(driver.lost_gpus()))
    except DriverError as error:
        return Answer(problem=str(error))


def answer_anew(open_session: Callable[[], Session]) -> Answer:
    """In a session of its own: one that is held open keeps the driver's modules from being exchanged, and does not hear of
    those that come then."""
    try:
        session = open_session()
    except DriverError as error:
        return Answer(problem=str(error))
    try:
        return answer_of(session)
    finally:
        session.close()


def not_injected(dev: Path) -> str:
    """Why nothing has put devices into this container; empty: it has some. `dev`: its /dev."""
    # What was asked for is no help: with CDI the toolkit overwrites NVIDIA_VISIBLE_DEVICES.
    if any(dev.glob("nvidia[0-9]*")) or (dev / "dxg").exists():
        return ""
    return f"this container was started by the runtime class nvidia, and has no GPU below {dev}"
