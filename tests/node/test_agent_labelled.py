"""A node with the label `nvidia.com/mig.config` is cut by it, and says how far it is."""

import asyncio

import pytest

from aliquot.gpu.driver import DriverError, MigState, ReturnCode
from aliquot.kube.api.agent_labels import MIG_STATE
from aliquot.kube.api.gpunode import MigMode
from aliquot.kube.roles import MIG_CONFIG_MAP
from aliquot.node.mig.labelled import CONFIG
from tests.node.machines import cut, placed
from tests.node.site import Site, run_site

BALANCED = {("1g.10gb", 0), ("1g.10gb", 1), ("2g.20gb", 2), ("3g.40gb", 4)}
OWN = """\
version: v1
mig-configs:
  ours:
  - devices: [0]
    mig-enabled: true
    mig-instances:
    - {profile: 3g.40gb, start: 0, compute: [1c.3g.40gb, 2c.3g.40gb]}
  - devices: [1]
    mig-enabled: false
"""


def configure(site: Site, name: str | None) -> None:
    site.api.label(**{CONFIG: name})


def state(site: Site) -> str | None:
    return site.api.node_label(MIG_STATE)


def test_a_usual_configuration_needs_no_file() -> None:
    async def scenario(site: Site) -> None:
        configure(site, "all-balanced")
        await asyncio.sleep(10)
        assert [placed(site.driver, gpu) for gpu in site.gpus] == [BALANCED, BALANCED]
        assert state(site) == "success"
        assert site.api.condition("MIGConfigured")[:2] == ("True", "AsWanted")
        configure(site, "all-disabled")
        await asyncio.sleep(10)
        assert [site.gpu_status(n).mig_mode for n in (0, 1)] == [MigMode.DISABLED, MigMode.DISABLED]
        assert state(site) == "success"

    run_site("h100-80gb:2", scenario)


def test_the_clusters_own_file_comes_first() -> None:
    async def scenario(site: Site) -> None:
        site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": OWN})
        configure(site, "ours")
        await asyncio.sleep(10)
        (instance,) = site.driver.instances(site.gpus[0].uuid)
        assert sorted(c.name for c in instance.compute_instances) == ["1c.3g.40gb", "2c.3g.40gb"]
        assert site.gpu_status(1).mig_mode is MigMode.DISABLED
        assert state(site) == "success"

    run_site("h100-80gb:2:mig", scenario)


def test_what_is_in_use_is_waited_for_and_said() -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("7g.80gb", 0))
        (instance,) = site.driver.instances(site.gpus[0].uuid)
        site.driver.start_process(instance.compute_instances[0].uuid, pid=12)
        configure(site, "all-balanced")
        await asyncio.sleep(20)
        assert state(site) == "pending"
        assert site.api.condition("MIGConfigured") == (
            "False",
            "InUse",
            "GPU 0: 7g.80gb at slot 0 is in use by process 12",
        )
        site.driver.stop_process(12)
        await asyncio.sleep(20)
        assert placed(site.driver, site.gpus[0]) == BALANCED
        assert state(site) == "success"

    run_site("h100-80gb:1:mig", scenario)


@pytest.mark.parametrize(
    ("file", "name", "reason", "message"),
    [
        ("", "nope", "NoSuchConfig", "there is no configuration 'nope'; there are all-disabled, all-enabled"),
        ("version: v2\n", "x", "BadConfig", "version 'v2' is not 'v1'"),
        (OWN.replace("[1]", "[0]"), "ours", "BadConfig", "entries 1 and 2 are both for GPU 0"),
        (OWN.replace("3g.40gb", "3g.20gb"), "ours", "UnknownProfile", "the board has no profile '3g.20gb'"),
    ],
)
def test_what_cannot_be_fails_with_its_reason_and_changes_nothing(
    file: str, name: str, reason: str, message: str
) -> None:
    async def scenario(site: Site) -> None:
        cut(site.driver, site.gpus[0], ("3g.40gb", 4))
        site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": file})
        configure(site, name)
        await asyncio.sleep(10)
        assert state(site) == "failed"
        assert site.api.condition("MIGConfigured")[:2] == ("False", reason)
        assert message in site.api.condition("MIGConfigured")[2]
        assert placed(site.driver, site.gpus[0]) == {("3g.40gb", 4)}
        # Mended, it goes on by itself.
        site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": OWN.replace("ours", name)})
        await asyncio.sleep(60)
        assert state(site) == "success"

    run_site("h100-80gb:2:mig", scenario)


def test_a_slip_in_the_file_leaves_a_node_that_is_as_wanted_alone() -> None:
    slip = f"ConfigMap aliquot-system/{MIG_CONFIG_MAP}, config.yaml:1: version 'v2' is not 'v1', the only one there is"

    async def scenario(site: Site) -> None:
        site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": OWN})
        configure(site, "ours")
        await asyncio.sleep(10)
        for restarted in (False, True):
            site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": "version: v2\n"})
            if restarted:
                await site.stop_agent()
                await site.start_agent()
            await asyncio.sleep(60)
            assert state(site) == "success"
            assert site.api.condition("MIGConfigured") == (
                "True",
                "BadConfig",
                f"every GPU is as the spec wants it, and the configuration has a slip by now: {slip}",
            )
            site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": OWN})
            await asyncio.sleep(60)
            assert site.api.condition("MIGConfigured")[:2] == ("True", "AsWanted")
        # Another label cannot be followed, and what was is no answer to it.
        site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": "version: v2\n"})
        configure(site, "all-balanced")
        await asyncio.sleep(60)
        assert state(site) == "failed"
        assert site.api.condition("MIGConfigured")[:2] == ("False", "BadConfig")

    run_site("h100-80gb:2:mig", scenario)


@pytest.mark.parametrize("known", [False, True])
def test_a_gpu_that_is_lost_before_the_agent_starts_is_said_and_the_others_are_cut(known: bool) -> None:
    async def scenario(site: Site) -> None:
        lost, other = site.gpus
        if known:
            configure(site, "all-3g.40gb")
            await asyncio.sleep(10)
        await site.stop_agent()
        site.driver.lose_gpu(lost.uuid)
        await site.start_agent()
        configure(site, "all-balanced")
        await asyncio.sleep(20)
        assert placed(site.driver, other) == BALANCED
        assert state(site) == "failed"
        why = f"GPU 0: {lost.uuid}: GPU is lost"
        assert site.api.condition("MIGConfigured") == ("False", "GPULost", why)
        assert site.api.condition("Ready") == ("True", "UnhealthyGPU", why)
        await site.stop_agent()
        site.driver.reboot()
        await site.start_agent()
        await asyncio.sleep(20)
        assert [placed(site.driver, gpu) for gpu in site.gpus] == [BALANCED, BALANCED]
        assert state(site) == "success"

    run_site("h100-80gb:2", scenario)


def test_a_mode_that_no_reset_applies_is_said_and_goes_on_after_a_reboot() -> None:
    def impossible(gpu_uuid: str) -> None:
        raise DriverError(ReturnCode.NOT_SUPPORTED, "not in a virtual machine")

    async def scenario(site: Site) -> None:
        site.driver.reset_gpu = impossible  # type: ignore[method-assign]
        configure(site, "ours")
        odd = OWN.replace("3g.40gb", "3g.20gb").replace("devices: [1]", "devices: []")
        site.api.put_config_map(MIG_CONFIG_MAP, {"config.yaml": odd})
        await asyncio.sleep(60)
        assert state(site) == "failed"
        assert site.api.condition("MIGConfigured") == (
            "False",
            "RebootRequired",
            "GPU 0: its MIG mode waits for a reboot: no reset is possible: not in a virtual machine; the agent goes "
            "on by itself after it",
        )
        await site.stop_agent()
        site.driver.reboot()
        await site.start_agent()
        await asyncio.sleep(30)
        assert state(site) == "success"
        assert placed(site.driver, site.gpus[0]) == {("3g.20gb", 0)}

    run_site("a100-40gb:1", scenario)


def test_where_the_label_goes_the_wish_goes_and_the_slices_stay() -> None:
    async def scenario(site: Site) -> None:
        configure(site, "all-balanced")
        await asyncio.sleep(10)
        configure(site, None)
        await asyncio.sleep(10)
        assert site.api.gpu_node.spec.gpus == []
        assert state(site) is None
        assert placed(site.driver, site.gpus[0]) == BALANCED
        assert site.api.condition("MIGConfigured")[:2] == ("True", "NothingWanted")

    run_site("h100-80gb:1", scenario)


def test_a_node_without_the_label_costs_no_call() -> None:
    async def scenario(site: Site) -> None:
        site.api.label(other="x")
        await asyncio.sleep(60)
        assert [what for what, _ in site.api.written].count("apply") == 1
        assert state(site) is None

    run_site("h100-80gb:1", scenario)


def test_it_is_followed_when_the_api_is_back() -> None:
    async def scenario(site: Site) -> None:
        site.api.down = True
        configure(site, "all-balanced")
        await asyncio.sleep(30)
        assert placed(site.driver, site.gpus[0]) == set()
        site.api.down = False
        await asyncio.sleep(60)
        assert placed(site.driver, site.gpus[0]) == BALANCED
        assert state(site) == "success"

    run_site("h100-80gb:1", scenario)


def test_a_monitor_in_the_way_is_paused_until_the_cut_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    dcgm = "nvidia.com/gpu.deploy.dcgm"

    async def scenario(site: Site) -> None:
        really = site.driver.set_mig_mode

        def held(gpu_uuid: str, enabled: bool) -> MigState:
            if site.api.node_label(dcgm) == "true":
                raise DriverError(ReturnCode.IN_USE, "In use by another client")
            return really(gpu_uuid, enabled)

        monkeypatch.setattr(site.driver, "set_mig_mode", held)
        site.api.label(**{dcgm: "true"})
        configure(site, "all-balanced")
        paused = False
        for _ in range(600):
            await asyncio.sleep(0.1)
            paused = paused or site.api.node_label(dcgm) == "paused-for-mig-change"
        assert paused
        assert placed(site.driver, site.gpus[0]) == BALANCED
        assert (site.api.node_label(dcgm), state(site)) == ("true", "success")

    run_site("h100-80gb:1", scenario)


def test_what_a_dead_agent_left_paused_goes_on() -> None:
    async def scenario(site: Site) -> None:
        site.api.label(**{"nvidia.com/gpu.deploy.nvsm": "paused-for-mig-change"})
        await asyncio.sleep(5)
        assert site.api.node_label("nvidia.com/gpu.deploy.nvsm") == "true"

    run_site("h100-80gb:1", scenario)


def test_after_a_reboot_the_node_is_cut_again() -> None:
    async def scenario(site: Site) -> None:
        configure(site, "all-balanced")
        await asyncio.sleep(10)
        await site.stop_agent()
        site.driver.reboot()
        assert site.driver.gpus()[0].mig is MigState.DISABLED
        await site.start_agent()
        await asyncio.sleep(15)
        assert placed(site.driver, site.gpus[0]) == BALANCED
        assert state(site) == "success"

    run_site("h100-80gb:1", scenario)


def test_both_labels_taken_away_at_once_let_the_wish_go() -> None:
    async def scenario(site: Site) -> None:
        configure(site, "all-balanced")
        await asyncio.sleep(10)
        site.api.label(**{CONFIG: None, MIG_STATE: None})
        await asyncio.sleep(5)
        assert site.api.gpu_node.spec.gpus == []
        assert placed(site.driver, site.gpus[0]) == BALANCED

    run_site("h100-80gb:1", scenario)
