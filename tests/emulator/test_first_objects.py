"""What every new cluster has is the same, whether a server made it as a client would or took over another's work."""

from aliquot.emulator import first_objects
from aliquot.emulator.versions import Surface
from tests.emulator.api import Api, FixedClock, new_api


async def started(clock: FixedClock, version: str) -> Api:
    return await new_api(clock, seed=7, surface=Surface(version))


def stored(api: Api) -> dict[str, list[bytes]]:
    store = api.server.store
    return {name: [record.body for record in store.list(name).records] for name in store.resources()}


async def test_a_later_server_has_what_the_first_would_have_made() -> None:
    now, later = FixedClock(), FixedClock()
    later.time += 86_400
    for version in ("1.31", "1.36"):
        first_objects.forget()
        await started(now, version)
        second = await started(later, version)
        first_objects.forget()
        alone = await started(later, version)
        assert stored(second) == stored(alone)
        assert sum(map(len, stored(second).values())) > 100
