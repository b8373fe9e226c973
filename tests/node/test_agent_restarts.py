"""The agent when kubelet, the API or the agent itself goes away and comes back."""

import asyncio

import pytest

from tests.node.fake_api import pod
from tests.node.machines import NODE, cut
from tests.node.site import Site, run_site

SEVENTH = "nvidia.com/mig-1g.10gb"


def test_a_restarted_kubelet_gets_everything_again() -> None:
    async def scenario(site: Site) -> None:
        names = set(site.kubelet.registrations)
        site.kubelet.registrations.clear()
        await site.kubelet.restart()
        await asyncio.sleep(3)
        assert set(site.kubelet.registrations) == names
        assert site.offered() == {"nvidia.com/gpu": 1}
        assert site.gpu_status(0).ready

    run_site("h100-80gb:1", scenario)


def test_a_lost_socket_is_served_and_registered_again() -> None:
    async def scenario(site: Site) -> None:
        site.plugin_sockets.drop("aliquot-gpu.sock")
        await asyncio.sleep(3)
        assert site.kubelet.registrations == ["nvidia.com/gpu"] * 2
        assert site.offered() == {"nvidia.com/gpu": 1}

    run_site("l4:1", scenario)


def test_an_absent_kubelet_is_the_reason_for_not_being_ready() -> None:
    async def scenario(site: Site) -> None:
        await site.kubelet.stop()
        await asyncio.sleep(60)
        state, reason, message = site.api.condition("Ready")
        assert (state, reason) == ("False", "NotRegistered")
        assert message.startswith("nvidia.com/gpu: kubelet.sock is absent")
        assert not site.gpu_status(0).ready
        await site.kubelet.start()
        await asyncio.sleep(3)
        assert site.api.condition("Ready")[0] == "True"

    run_site("l4:1", scenario)


def test_devices_are_served_while_the_api_is_away() -> None:
    async def scenario(site: Site) -> None:
        site.api.down = True
        cut(site.driver, site.gpus[0], ("1g.10gb", 0))
        await asyncio.sleep(15)
        assert site.offered() == {SEVENTH: 1}
        site.api.down = False
        await asyncio.sleep(60)
        assert [i.profile for i in site.gpu_status(0).instances] == ["1g.10gb"]

    run_site("h100-80gb:1:mig", scenario)


def test_an_agent_that_was_killed_keeps_the_transition_times() -> None:
    async def scenario(site: Site) -> None:
        before = site.api.gpu_node.status
        await asyncio.sleep(3600)
        site.api.down = True
        await site.stop_agent()
        site.api.down = False
        await site.start_agent()
        assert site.api.gpu_node.status == before

    run_site("h100-80gb:1", scenario)


def test_a_stopped_agent_says_so_before_it_stops_to_answer() -> None:
    """Else the scheduler would go on to send pods, and each would fail for good."""

    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 0))
        site.api.pods.put(pod("train"))
        await asyncio.sleep(15)
        (held,) = await site.kubelet.admit("train", "nvidia.com/gpu")
        await asyncio.sleep(2)
        served: list[bool] = []

        def changed(old: object, new: object) -> None:
            served.append(site.plugin_sockets.generation("aliquot-gpu.sock") is not None)

        site.api.gpu_nodes.subscribe(changed)
        served.clear()
        await site.stop_agent()
        assert served == [True]
        assert site.plugin_sockets.generation("aliquot-gpu.sock") is None
        sliced, whole = site.api.gpu_node.status.gpus
        assert (whole.uuid, whole.ready, whole.pods) == (held, False, ["default/train"])
        assert [instance.ready for instance in sliced.instances] == [False]
        assert site.api.condition("Ready") == (
            "False",
            "AgentStopped",
            "the agent of this node was stopped: nothing is handed out until it runs again",
        )
        assert site.api.condition("MIGConfigured")[0] == "True"
        await site.start_agent()
        assert site.api.condition("Ready")[:2] == ("True", "Serving")
        assert [gpu.ready for gpu in site.api.gpu_node.status.gpus] == [False, True]
        assert site.gpu_status(0).instances[0].ready

    run_site("h100-80gb:1:mig,h100-80gb:1", scenario)


def test_an_api_that_hangs_does_not_keep_an_agent_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(site: Site) -> None:
        async def never(*args: object, **kwargs: object) -> None:
            await asyncio.get_running_loop().create_future()

        monkeypatch.setattr(site.api, "patch", never)
        async with asyncio.timeout(2):
            await site.stop_agent()
        assert site.plugin_sockets.generation("aliquot-gpu.sock") is None
        await site.start_agent()

    run_site("l4:1", scenario)


def test_an_agent_stopped_before_its_first_report_takes_back_what_an_earlier_one_said() -> None:
    async def scenario(site: Site) -> None:
        site.api.down = True
        await site.stop_agent()
        site.api.down = False
        site.kubelet.deaf.clear()
        starting = asyncio.create_task(site.start_agent())
        await asyncio.sleep(1)
        assert site.gpu_status(0).ready
        await site.stop_agent()
        assert not site.gpu_status(0).ready
        site.kubelet.deaf.set()
        await starting
        await site.start_agent()

    run_site("l4:1", scenario)


def test_an_agent_that_starts_writes_its_status_once() -> None:
    async def scenario(site: Site) -> None:
        statuses = [status for kind, status in site.api.written if kind == "status"]
        assert [status["observedGeneration"] for status in statuses] == [1]

    run_site("h100-80gb:8", scenario)


def test_an_idle_agent_writes_nothing() -> None:
    async def scenario(site: Site) -> None:
        before = len(site.api.written)
        await asyncio.sleep(3600)
        assert len(site.api.written) == before

    run_site("h100-80gb:1", scenario)


def test_a_status_that_somebody_else_changed_is_written_again() -> None:
    async def scenario(site: Site) -> None:
        site.api.gpu_nodes.remove(NODE)
        await asyncio.sleep(1)
        assert site.gpu_status(0).ready

    run_site("l4:1", scenario)


def test_a_second_agent_cuts_and_reports_nothing_until_the_first_has_stopped() -> None:
    async def scenario(site: Site) -> None:
        first = site.agent_task
        assert first is not None
        written = len(site.api.written)
        await site.start_agent()
        await asyncio.sleep(120)
        assert len(site.api.written) == written
        first.cancel()
        await asyncio.sleep(3)
        assert site.offered() == {"nvidia.com/gpu": 1}
        assert site.api.condition("Ready")[:2] == ("True", "Serving")

    run_site("l4:1", scenario)
