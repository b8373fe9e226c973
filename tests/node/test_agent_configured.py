"""The configuration changes under a running agent: what is free follows, what is held waits, what is wrong is said."""

import asyncio

from aliquot.kube.roles import PLUGIN_CONFIG_MAP
from aliquot.node.advertise import device_of
from aliquot.node.plugin_config.choice import LABEL
from tests.node.machines import NODE, virtual
from tests.node.site import Site

GPU = "nvidia.com/gpu"


def index_of(site: Site, share: str) -> int:
    return next(gpu.index for gpu in site.gpus if gpu.uuid == device_of(share))


def sliced(replicas: int, more: str = "") -> str:
    return f"sharing: {{timeSlicing: {{{more} resources: [{{name: gpu, replicas: {replicas}}}]}}}}"


def configured(site: Site) -> tuple[str, str]:
    status, reason, _ = site.api.condition("Configured")
    return status, reason


async def started(gpus: str, **configs: str) -> Site:
    site = Site(gpus)
    site.config_map = PLUGIN_CONFIG_MAP
    if configs:
        site.api.put_config_map(PLUGIN_CONFIG_MAP, configs)
    return await site.start()


def test_the_label_chooses_and_a_change_is_followed_at_once() -> None:
    async def main() -> None:
        site = await started("h100-80gb:2", default=sliced(2), many=sliced(8))
        assert site.offered() == {GPU: 4}
        site.api.label(**{LABEL: "many"})
        await asyncio.sleep(1)
        assert site.offered() == {GPU: 16}
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"many": sliced(3)})
        await asyncio.sleep(1)
        assert site.offered() == {GPU: 6}
        assert configured(site) == ("True", "InEffect")
        await site.stop()

    virtual(main())


def test_whether_there_could_be_mps_is_told_once_the_configuration_is_known() -> None:
    async def main() -> None:
        site = await started("h100-80gb:1", default="flags: {migstrategy: none}")
        assert site.api.gpu_node.status.mps is None
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": "flags: {mpsRoot: /run/mps}"})
        await asyncio.sleep(2)
        assert site.api.gpu_node.status.mps is True
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": ""})
        await asyncio.sleep(2)
        assert site.api.gpu_node.status.mps is False
        await site.stop()

    virtual(main())


def test_without_a_config_map_nothing_is_shared() -> None:
    async def main() -> None:
        site = await started("h100-80gb:2")
        assert site.offered() == {GPU: 2}
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": sliced(2)})
        await asyncio.sleep(1)
        assert site.offered() == {GPU: 4}
        site.api.config_maps.remove(PLUGIN_CONFIG_MAP)
        await asyncio.sleep(1)
        assert site.offered() == {GPU: 2}
        await site.stop()

    virtual(main())


def test_a_config_map_that_was_named_has_to_be_there() -> None:
    async def main() -> None:
        site = Site("h100-80gb:2")
        site.config_map = "mine"
        await site.start()
        await asyncio.sleep(2)
        missing = "False", "NoSuchConfigMap", "there is no ConfigMap aliquot-system/mine"
        assert site.api.condition("Configured") == missing
        site.api.put_config_map("mine", {"default": sliced(2)})
        await asyncio.sleep(2)
        assert site.offered() == {GPU: 4}
        assert configured(site) == ("True", "InEffect")
        site.api.config_maps.remove("mine")
        await asyncio.sleep(2)
        assert site.offered() == {GPU: 4}
        assert site.api.condition("Configured") == missing
        await site.stop()

    virtual(main())


def test_what_is_wrong_changes_nothing_and_is_said() -> None:
    async def main() -> None:
        site = await started("h100-80gb:1", default=sliced(2))
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": "flags: {migstrategy: none}"})
        await asyncio.sleep(2)
        assert site.offered() == {GPU: 2}
        assert site.api.condition("Configured") == (
            "False",
            "BadConfig",
            "ConfigMap aliquot-system/device-plugin-config, default:1: unknown field 'migstrategy' in flags; "
            "did you mean 'migStrategy'?",
        )
        site.api.label(**{LABEL: "defualt"})
        await asyncio.sleep(2)
        assert configured(site) == ("False", "NoSuchConfig")
        site.api.label(**{LABEL: None})
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": sliced(5)})
        await asyncio.sleep(2)
        assert site.offered() == {GPU: 5}
        assert configured(site) == ("True", "InEffect")
        await site.stop()

    virtual(main())


def test_a_held_gpu_is_shared_only_when_it_is_free() -> None:
    async def main() -> None:
        site = await started("h100-80gb:2", default="")
        await site.kubelet.admit("train", GPU)
        await asyncio.sleep(15)
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": sliced(4, "renameByDefault: true,")})
        await asyncio.sleep(2)
        assert site.offered() == {f"{GPU}.shared": 4}
        assert configured(site) == ("False", "WaitingForUsers")
        # Also after a restart, when nobody remembers.
        await site.stop_agent()
        await site.start_agent()
        assert site.offered() == {f"{GPU}.shared": 4}
        site.kubelet.release("train")
        await asyncio.sleep(15)
        assert site.offered() == {f"{GPU}.shared": 8}
        assert configured(site) == ("True", "InEffect")
        await site.stop()

    virtual(main())


def test_a_gpu_of_which_a_share_is_held_is_not_given_whole() -> None:
    async def main() -> None:
        site = await started("h100-80gb:2", default=sliced(4))
        (share,) = await site.kubelet.admit("serve", GPU)
        await asyncio.sleep(15)
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": ""})
        await asyncio.sleep(2)
        # The other GPU alone; nothing beside the share that is held, or the GPU would never be free.
        assert site.offered() == {GPU: 1}
        assert site.kubelet.free(GPU) == [site.gpus[1 - index_of(site, share)].uuid]
        site.kubelet.release("serve")
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 2}
        await site.stop()

    virtual(main())


def test_a_gpu_that_is_given_at_the_moment_of_the_change_keeps_its_form() -> None:
    """Between two looks kubelet has allocated it, and nobody lists it yet."""

    async def main() -> None:
        site = await started("h100-80gb:1", default="")
        await asyncio.sleep(15)
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": sliced(4, "renameByDefault: true,")})
        await site.kubelet.admit("train", GPU)
        await asyncio.sleep(60)
        assert site.offered() == {}
        assert configured(site) == ("False", "WaitingForUsers")
        await site.stop()

    virtual(main())


def test_what_is_freed_on_its_way_to_another_form_is_offered_to_nobody_before() -> None:
    """Else a scheduler binds a pod to it in the moment in which it goes, and the pod fails for good."""

    async def main() -> None:
        site = await started("h100-80gb:1", default="")
        await site.kubelet.admit("train", GPU)
        await asyncio.sleep(15)
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": sliced(4)})
        await asyncio.sleep(5)
        assert not site.gpu_status(0).ready
        site.kubelet.release("train")
        assert site.kubelet.free(GPU) == []
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 4}
        await site.stop()

    virtual(main())


def test_an_agent_of_which_no_report_is_left_gives_nothing_twice() -> None:
    async def main() -> None:
        site = await started("h100-80gb:2", default=sliced(3))
        (share,) = await site.kubelet.admit("serve", GPU)
        await asyncio.sleep(15)
        await site.stop_agent()
        site.api.gpu_nodes.remove(NODE)
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": ""})
        await site.start_agent()
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 1}
        assert device_of(share) not in site.kubelet.free(GPU)
        await site.stop()

    virtual(main())


def test_an_agent_that_cannot_read_its_configuration_leaves_the_devices_as_they_were() -> None:
    async def main() -> None:
        site = await started("h100-80gb:2", default=sliced(3))
        await site.stop_agent()
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": "version: v2"})
        await site.start_agent()
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 6}
        assert configured(site) == ("False", "BadConfig")
        site.api.put_config_map(PLUGIN_CONFIG_MAP, {"default": ""})
        await asyncio.sleep(15)
        assert site.offered() == {GPU: 2}
        await site.stop()

    virtual(main())
