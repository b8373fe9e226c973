"""What a simulated driver is asked is answered at once, but for what takes a real one its time."""

import asyncio

import pytest

from aliquot.cli.driver_times import as_long_as_real
from tests.node.machines import virtual


class Driver:
    def version(self, text: str) -> str:
        return text

    def create_gpu_instance(self) -> str:
        return "made"

    def processes(self) -> None:
        raise ValueError("gone")


def test_a_question_is_answered_before_anybody_waits() -> None:
    async def scenario() -> None:
        answer = asyncio.ensure_future(as_long_as_real(Driver().version, "580"))
        assert answer.done()
        assert await answer == "580"
        with pytest.raises(ValueError, match="gone"):
            await as_long_as_real(Driver().processes)

    virtual(scenario())


def test_making_a_slice_takes_its_time() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await as_long_as_real(Driver().create_gpu_instance) == "made"
        assert loop.time() - began == pytest.approx(0.2)

    virtual(scenario())
