"""The agent and `aliquot mig` on one machine: one of them changes a GPU at a time."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aliquot.node.mig.journal import Journal, Layout, forget
from aliquot.node.mig.one_writer import GpuHeld, held
from tests.node.fake_api import wanted
from tests.node.site import Site, run_site


def beside(directory: Path, scenario: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
    async def restarted(site: Site) -> None:
        await site.stop_agent()
        site.mig_directory = directory
        await site.start_agent()
        await scenario(site)

    run_site("h100-80gb:2:mig", restarted)


def test_a_gpu_that_another_changes_is_left_to_it(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        with held(tmp_path, first.uuid):
            site.api.want(wanted(first, ("3g.40gb", 4)), wanted(second, ("3g.40gb", 4)))
            await asyncio.sleep(4)
            assert site.gpu_status(0).reason == "OtherWriter"
            assert f"is changing {first.uuid}" in site.gpu_status(0).message
            assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        await asyncio.sleep(10)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 2}

    beside(tmp_path, scenario)


def test_what_was_cut_short_is_taken_up_by_people_first(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        first, second = site.gpus
        Journal(tmp_path, first.uuid, Layout(True), Layout(True), 0.0).begin()
        site.api.want(wanted(first, ("3g.40gb", 4)), wanted(second, ("3g.40gb", 4)))
        await asyncio.sleep(4)
        assert site.gpu_status(0).reason == "CutShort"
        assert "`aliquot mig recover` finishes it, or rolls it back" in site.gpu_status(0).message
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 1}
        forget(tmp_path, first.uuid)
        await asyncio.sleep(10)
        assert site.offered() == {"nvidia.com/mig-3g.40gb": 2}

    beside(tmp_path, scenario)


def test_the_agent_holds_a_gpu_as_long_as_it_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(site: Site) -> None:
        first, _ = site.gpus
        refused: list[str] = []
        really = site.driver.create_compute_instance

        def trying(gpu_uuid: str, gi_id: int, profile_id: int) -> object:
            try:
                with held(tmp_path, gpu_uuid):
                    pass
            except GpuHeld as error:
                refused.append(str(error))
            return really(gpu_uuid, gi_id, profile_id)

        monkeypatch.setattr(site.driver, "create_compute_instance", trying)
        site.api.want(wanted(first, ("3g.40gb", 4)))
        await asyncio.sleep(4)
        assert len(refused) == 1
        with held(tmp_path, first.uuid):
            pass

    beside(tmp_path, scenario)
