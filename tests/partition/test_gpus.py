"""What devices can be made of, as it is read from a GPUNode and its Node's labels."""

import pytest

from aliquot.kube.api.gpunode import (
    SOMEBODY_ELSES,
    GPUNode,
    GPUNodeSpec,
    GPUNodeStatus,
    GPUStatus,
    Health,
    MigMode,
    Partitioning,
    WantedGPU,
    WantedInstance,
)
from aliquot.kube.api.meta import ObjectMeta
from aliquot.partition.gpus import MIG_CONFIG_LABEL, gpus_of, partitioning_of
from tests.partition.objects import reported, status


def gpu_node(
    *gpus: GPUStatus, mode: Partitioning | None = Partitioning.ON_DEMAND, **spec: list[str]
) -> GPUNode:
    """`spec`: the slices wanted of a GPU."""
    wanted = [
        WantedGPU(uuid=uuid, mig=True, instances=[_wanted(text) for text in slices])
        for uuid, slices in spec.items()
    ]
    return GPUNode(
        metadata=ObjectMeta(name="a"),
        spec=GPUNodeSpec(partitioning=mode, gpus=wanted),
        status=GPUNodeStatus(gpus=list(gpus), mig_strategy="mixed", mig_profiles=reported()),
    )


def _wanted(text: str) -> WantedInstance:
    profile, _, start = text.partition("@")
    return WantedInstance(profile=profile, start=int(start))


@pytest.mark.parametrize(
    ("mode", "labels", "found"),
    [
        (None, {}, Partitioning.STATIC),
        (Partitioning.STATIC, {}, Partitioning.STATIC),
        (Partitioning.ON_DEMAND, {}, Partitioning.ON_DEMAND),
        (Partitioning.ON_DEMAND, {MIG_CONFIG_LABEL: "all-1g.10gb"}, Partitioning.STATIC),
        (Partitioning.ON_DEMAND, {MIG_CONFIG_LABEL: ""}, Partitioning.ON_DEMAND),
        (Partitioning.BUDGETED, {}, Partitioning.BUDGETED),
    ],
)
def test_who_decides_how_a_node_is_cut(
    mode: Partitioning | None, labels: dict[str, str], found: Partitioning
) -> None:
    node = gpu_node(status("whole"), mode=mode)
    assert partitioning_of(node, labels) is found
    assert gpus_of(node, labels)[0].may_cut is (found is not Partitioning.STATIC)


def test_gpus_come_by_index_with_what_their_driver_reports() -> None:
    first, second = gpus_of(gpu_node(status("whole", "x", index=1), status("1g.10gb@0", "y", index=0)), {})
    assert (first.uuid, first.mig_on, first.may_change_mode) == ("y", True, True)
    assert (second.uuid, second.mig_on) == ("x", False)
    assert "1g.10gb+me" in [profile.name for profile in first.profiles]
    assert first.profiles is second.profiles


def test_without_names_of_their_own_slices_are_not_made() -> None:
    node = gpu_node(status("whole"))
    node.status.mig_strategy = "single"
    assert gpus_of(node, {})[0].profiles == ()


@pytest.mark.parametrize(
    ("mps", "labels", "clients"),
    [
        (True, {"nvidia.com/gpu.compute.major": "9"}, 48),
        (True, {"nvidia.com/gpu.compute.major": "6"}, 16),
        (True, {"nvidia.com/gpu.compute.major": "?"}, 48),
        (None, {}, 48),
        (False, {"nvidia.com/gpu.compute.major": "9"}, 0),
    ],
)
def test_how_many_clients_an_mps_server_takes(mps: bool | None, labels: dict[str, str], clients: int) -> None:
    node = gpu_node(status("whole"))
    node.status.mps = mps
    assert gpus_of(node, labels)[0].mps_clients == clients


@pytest.mark.parametrize("reason", sorted(SOMEBODY_ELSES))
def test_nothing_is_made_of_what_is_somebody_elses(reason: str) -> None:
    gpu = status("whole")
    gpu.reason = reason
    assert gpus_of(gpu_node(gpu), {}) == ()


def test_nothing_is_made_of_an_ailing_gpu() -> None:
    gpu = status("whole")
    gpu.health = Health.UNHEALTHY
    assert gpus_of(gpu_node(gpu), {}) == ()


@pytest.mark.parametrize(
    ("board", "may"),
    [("h100-80gb", True), ("a100-80gb", False), ("t4", False), ("unheard-of", False), ("", False)],
)
def test_the_mode_changes_only_where_that_takes_no_reset(board: str, may: bool) -> None:
    gpu = status("whole")
    gpu.board = board
    assert gpus_of(gpu_node(gpu), {})[0].may_change_mode is may


@pytest.mark.parametrize(
    ("mode", "on"),
    [
        (MigMode.ENABLED, True),
        (MigMode.PENDING_DISABLE, True),
        (MigMode.PENDING_ENABLE, False),
        (MigMode.DISABLED, False),
        (MigMode.UNSUPPORTED, False),
    ],
)
def test_the_mode_is_the_one_in_effect(mode: MigMode, on: bool) -> None:
    assert gpus_of(gpu_node(status("empty", mode=mode)), {})[0].mig_on is on


@pytest.mark.parametrize(
    ("layout", "to_come"),
    [
        ("whole", (("3g.40gb", 0), ("1g.10gb", 4))),
        ("3g.40gb@0", (("1g.10gb", 4),)),
        ("3g.40gb@0 1g.10gb@4 1g.10gb@5", ()),
        ("1c.3g.40gb@0 2c.3g.40gb@0", (("1g.10gb", 4),)),
    ],
)
def test_what_is_wanted_and_not_there_yet(layout: str, to_come: tuple[tuple[str, int], ...]) -> None:
    (gpu,) = gpus_of(gpu_node(status(layout), gpu0=["3g.40gb@0", "1g.10gb@4"]), {})
    assert gpu.wanted == to_come


@pytest.mark.parametrize(
    ("layout", "wanted", "mig", "to_go"),
    [
        ("whole", ["3g.40gb@0"], True, {None}),
        ("whole", [], None, set()),
        ("3g.40gb@0 1g.10gb@4 1g.10gb@5", ["3g.40gb@0", "1g.10gb@5"], True, {4}),
        ("1g.10gb@0", ["3g.40gb@0"], True, {0}),
        ("1g.10gb@0 1g.10gb@1", [], False, {0, 1}),
        ("1g.10gb@0", None, True, set()),
    ],
)
def test_what_others_want_gone(
    layout: str, wanted: list[str] | None, mig: bool | None, to_go: set[int | None]
) -> None:
    instances = None if wanted is None else [_wanted(text) for text in wanted]
    node = gpu_node(status(layout), mode=Partitioning.STATIC)
    node.spec.gpus = [WantedGPU(uuid="gpu0", mig=mig, instances=instances)]
    assert gpus_of(node, {})[0].going == to_go
    node.spec.partitioning = Partitioning.ON_DEMAND
    assert gpus_of(node, {})[0].going == frozenset()
