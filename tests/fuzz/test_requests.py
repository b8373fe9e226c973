"""The short form; `make fuzz` goes on for longer and with other seeds."""

import os

import pytest

from tests.emulator.api import Api, FixedClock, new_api
from tests.fuzz.generate import read
from tests.fuzz.requests import Fuzzer

REQUESTS = int(os.environ.get("ALIQUOT_FUZZ_REQUESTS", "1500"))


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_answer_is_one(seed: int) -> None:
    api: Api = await new_api(FixedClock())
    fuzzer = Fuzzer(api, read(api.server.registry), seed)
    for _ in range(REQUESTS):
        await fuzzer.one()
    api.server.stop()
    await api.close()
    assert {200, 201, 404, 422} <= set(fuzzer.answers)
