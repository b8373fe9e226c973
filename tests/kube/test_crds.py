import asyncio

import pytest

from aliquot.kube.crds import ALL, NotEstablished, install
from aliquot.kube.resources import CRDS
from tests.kube.fake_api import FakeApi, client_of, virtual


def new_api() -> FakeApi:
    api = FakeApi()
    for definition in ALL:
        # The fake does not create by apply.
        api.put(CRDS, {"metadata": {"name": definition["metadata"]["name"]}})
    return api


def test_install_waits_until_they_are_served() -> None:
    async def main() -> None:
        api = new_api()
        task = asyncio.create_task(install(client_of(api)))
        await asyncio.sleep(5)
        assert not task.done()
        for definition in api.objects(CRDS).values():
            assert definition["spec"]["names"]["plural"]
            api.put(
                CRDS, definition | {"status": {"conditions": [{"type": "Established", "status": "True"}]}}
            )
        await task
        assert asyncio.get_running_loop().time() < 6

    virtual(main())


def test_install_says_why_they_are_not_served() -> None:
    async def main() -> None:
        api = new_api()
        refused = {
            "type": "NamesAccepted",
            "status": "False",
            "reason": "ListKindConflict",
            "message": "taken",
        }
        for definition in list(api.objects(CRDS).values()):
            api.put(CRDS, definition | {"status": {"conditions": [refused]}})
        with pytest.raises(NotEstablished, match=r"ListKindConflict: taken \(after 30 s\)"):
            await install(client_of(api))

    virtual(main())
