"""Which devices are shared, by how many, under which name."""

from dataclasses import replace

import pytest

from aliquot.kube.api.gpunode import Sharing, WantedGPU, WantedSharing
from aliquot.node.advertise import advertise
from aliquot.node.inventory import Snapshot, observe
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import Settings, resolve
from aliquot.node.sharing import Shared, share
from tests.node.machines import cut, machine


def settings(text: str) -> Settings:
    return resolve(Flags(mps_root="/run/mps"), parse(text, source="f"))


def slicing(*entries: str, more: str = "", way: str = "timeSlicing") -> str:
    listed = "".join(f"\n    - {{{entry}}}" for entry in entries)
    return f"sharing:\n  {way}:\n    {more or 'renameByDefault: false'}\n    resources:{listed}"


def found(gpus: str, text: str, *wanted: WantedGPU) -> Shared:
    return shared_on(observe(machine(gpus)), text, *wanted)


def shared_on(snapshot: Snapshot, text: str, *wanted: WantedGPU) -> Shared:
    asked = settings(text)
    whole = advertise(snapshot.gpus, asked.mig_strategy, asked.naming)
    return share(whole, snapshot.gpus, asked, wanted)


def counts(shared: Shared) -> dict[str, int]:
    """Resource -> what kubelet could hand out; names with none are left out."""
    resources = shared.advertisement.resources.items()
    return {
        name: sum(len(device.kubelet_ids) for device in devices) for name, devices in resources if devices
    }


@pytest.mark.parametrize(
    ("entries", "more", "expected"),
    [
        (["name: gpu, replicas: 4"], "", {"nvidia.com/gpu": 16}),
        (["name: gpu, replicas: 4"], "renameByDefault: true", {"nvidia.com/gpu.shared": 16}),
        (["name: gpu, replicas: 4, rename: part"], "renameByDefault: true", {"nvidia.com/part": 16}),
        (["name: gpu, replicas: 4, devices: 1"], "", {"nvidia.com/gpu": 7}),
        (
            ["name: gpu, replicas: 4, devices: [0, 2]"],
            "renameByDefault: true",
            {"nvidia.com/gpu": 2, "nvidia.com/gpu.shared": 8},
        ),
        (
            ["name: gpu, replicas: 2, devices: [0], rename: half", "name: gpu, replicas: 8, devices: [1]"],
            "",
            {"nvidia.com/half": 2, "nvidia.com/gpu": 10},
        ),
    ],
)
def test_shares_by_resource_and_by_gpu(entries: list[str], more: str, expected: dict[str, int]) -> None:
    shared = found("h100-80gb:4", slicing(*entries, more=more))
    assert counts(shared) == expected
    assert shared.problems == ()


def test_shares_are_named_after_their_device() -> None:
    (device,) = found("h100-80gb:1", slicing("name: gpu, replicas: 3")).advertisement.devices
    assert device.kubelet_ids == (f"{device.id}::0", f"{device.id}::1", f"{device.id}::2")


def test_nothing_asked_is_nothing_changed() -> None:
    snapshot = observe(machine("h100-80gb:2"))
    whole = advertise(snapshot.gpus, Settings().mig_strategy)
    assert share(whole, snapshot.gpus, Settings()).advertisement is whole


def test_a_slice_is_shared_like_a_gpu() -> None:
    driver = machine("h100-80gb:1:mig,h100-80gb:1")
    cut(driver, driver.gpus()[0], ("3g.40gb", 0), ("1g.10gb", 4))
    text = slicing("name: mig-3g.40gb, replicas: 2", more="renameByDefault: true", way="mps")
    assert counts(shared_on(observe(driver), text)) == {
        "nvidia.com/gpu": 1,
        "nvidia.com/mig-1g.10gb": 1,
        "nvidia.com/mig-3g.40gb.shared": 2,
    }


def test_names_of_shares_are_known_before_there_is_a_share() -> None:
    text = slicing("name: mig-1g.10gb, replicas: 2", more="renameByDefault: true")
    resources = found("h100-80gb:1:mig", text).advertisement.resources
    assert resources["nvidia.com/mig-1g.10gb.shared"] == ()
    assert "nvidia.com/mig-1g.10gb" in resources


def test_mps_counts_where_both_ways_are_given() -> None:
    both = "sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2}]}, mps: {resources: [{name: gpu, replicas: 3, devices: [0]}]}}"
    devices = found("h100-80gb:2", both).advertisement.devices
    ways = [(device.shares.strategy, device.shares.replicas) for device in devices if device.shares]
    assert ways == [(Sharing.MPS, 3), (Sharing.TIME_SLICING, 2)]


@pytest.mark.parametrize(
    ("way", "said", "fails"),
    [
        ("timeSlicing", "", False),
        ("timeSlicing", "failRequestsGreaterThanOne: true", True),
        ("mps", "", True),
        ("mps", "failRequestsGreaterThanOne: false", False),
    ],
)
def test_more_than_one_share_is_refused_as_the_way_has_it(way: str, said: str, fails: bool) -> None:
    (device,) = found(
        "h100-80gb:1", slicing("name: gpu, replicas: 2", more=said, way=way)
    ).advertisement.devices
    assert device.shares is not None
    assert device.shares.fails_above_one is fails


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (["name: mig-9g.1gb, replicas: 2"], "f:5: this node has no nvidia.com/mig-9g.1gb"),
        (["name: gpu, replicas: 2, devices: [7]"], "f:5: this node has no GPU 7"),
        (["name: gpu, replicas: 2, devices: ['0:1']"], "f:5: none of 0:1 is a nvidia.com/gpu of this node"),
    ],
)
def test_what_the_node_has_not_is_said(entries: list[str], problem: str) -> None:
    shared = found("h100-80gb:2", slicing(*entries))
    assert shared.problems == (problem,)
    assert counts(shared) == {"nvidia.com/gpu": 2}


def test_what_is_there_is_shared_and_what_is_not_is_said() -> None:
    shared = found("h100-80gb:2", slicing("name: gpu, replicas: 4, devices: [1, 7]"))
    assert counts(shared) == {"nvidia.com/gpu": 1 + 4}
    assert shared.problems == ("f:5: this node has no GPU 7",)


def test_a_gpu_that_is_not_cut_yet_is_there() -> None:
    shared = found("h100-80gb:1:mig,h100-80gb:1", slicing("name: gpu, replicas: 4, devices: [0, 1]"))
    assert shared.problems == ()


def test_all_that_does_not_fit_is_said() -> None:
    entries = ["name: gpu, replicas: 49, devices: [0]", "name: mig-9g.1gb, replicas: 2"]
    shared = found("h100-80gb:1", slicing(*entries, way="mps"))
    assert shared.problems == (
        "f:6: this node has no nvidia.com/mig-9g.1gb",
        "49 MPS shares of GPU 0: NVIDIA H100 80GB HBM3 takes 48 clients",
    )


def test_what_is_somebody_else_s_to_hand_out_is_no_slip_of_the_configuration() -> None:
    snapshot = observe(machine("h100-80gb:2"))
    asked = settings(slicing("name: gpu, replicas: 2, devices: [0]"))
    whole = advertise(
        snapshot.gpus, asked.mig_strategy, left_alone={snapshot.gpus[0].gpu.uuid: "a DRA driver has it"}
    )
    shared = share(whole, snapshot.gpus, asked)
    assert shared.problems == ()
    assert shared.notes == ("f:5: what it shares is not offered just now (GPU 0: a DRA driver has it)",)


def test_where_both_ways_are_given_it_is_said_which_counts() -> None:
    both = (
        "sharing:\n  timeSlicing:\n    resources:\n    - {name: gpu, replicas: 2}\n"
        "  mps:\n    resources:\n    - {name: gpu, replicas: 3}"
    )
    assert found("h100-80gb:2", both).notes == (
        "mps at f:7 and timeSlicing at f:4 share the same devices: MPS counts",
    )


def test_two_entries_for_one_gpu_share_it_in_neither_way() -> None:
    entries = ["name: gpu, replicas: 2", "name: gpu, replicas: 3, devices: [0]"]
    shared = found("h100-80gb:2", slicing(*entries))
    assert counts(shared) == {"nvidia.com/gpu": 2}
    (reason,) = shared.advertisement.withheld.values()
    assert reason.startswith("f:6 and f:5 both share GPU-")


def test_more_shares_than_an_mps_server_takes_are_refused() -> None:
    shared = found("h100-80gb:1", slicing("name: gpu, replicas: 49", way="mps"))
    assert counts(shared) == {}
    (reason,) = shared.advertisement.withheld.values()
    assert reason == "49 MPS shares of GPU 0: NVIDIA H100 80GB HBM3 takes 48 clients"


def wish(uuid: str, strategy: Sharing, replicas: int = 1) -> WantedGPU:
    return WantedGPU(uuid=uuid, sharing=WantedSharing(strategy=strategy, replicas=replicas))


def test_gpunode_goes_before_the_file_gpu_by_gpu() -> None:
    snapshot = observe(machine("h100-80gb:3"))
    first, second, _ = (observed.gpu.uuid for observed in snapshot.gpus)
    text = slicing("name: gpu, replicas: 4")
    wanted = [wish(first, Sharing.NONE), wish(second, Sharing.MPS, 2)]
    assert counts(shared_on(snapshot, text, *wanted)) == {
        "nvidia.com/gpu": 1 + 4,
        "nvidia.com/gpu.shared": 2,
    }


def test_mps_without_its_root_is_refused() -> None:
    snapshot = observe(machine("h100-80gb:1"))
    bare = replace(Settings(), mps_root="")
    whole = advertise(snapshot.gpus, bare.mig_strategy)
    shared = share(whole, snapshot.gpus, bare, [wish(snapshot.gpus[0].gpu.uuid, Sharing.MPS, 2)])
    assert counts(shared) == {}
    assert "needs mpsRoot" in next(iter(shared.advertisement.withheld.values()))


def test_a_gpu_that_nobody_can_use_is_not_shared() -> None:
    text = "flags: {migStrategy: none}\n" + slicing("name: gpu, replicas: 2")
    (device,) = found("h100-80gb:1:mig", text).advertisement.devices
    assert device.shares is None


def test_a_name_that_is_too_long_once_it_is_shared_is_refused() -> None:
    text = slicing("name: gpu, replicas: 2", more="renameByDefault: true")
    text += f"\nresources:\n  gpus: [{{pattern: '*', name: {'x' * 50}}}]"
    text = text.replace("name: gpu,", f"name: {'x' * 50},")
    shared = found("h100-80gb:1", text)
    assert counts(shared) == {}
    (problem,) = shared.problems
    assert "has 68 characters, resource names at most 63" in problem
