"""Why a pod of a GPUClass waits."""

from dataclasses import replace

import msgspec
import pytest

from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core.attempts import why_no_node
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, node, placed, pod, ways

CLASSES = {
    name: msgspec.convert(spec, GPUClassSpec)
    for name, spec in {
        "small": {"ways": [{"mig": {"profile": "1g.10gb"}}]},
        "whole": {"ways": [{"whole": {}}]},
        "quarter": {"ways": [{"timeSlicing": {"replicas": 4}}]},
        "half": {"ways": [{"mps": {"replicas": 2}}]},
    }.items()
}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("smal", "there is no GPUClass smal; did you mean 'small'?"),
        ("small", "GPUClass small: MIG slice 1g.10gb on l4: no MIG profile is to be had there"),
        # Where nobody may share a GPU, none of them will be there.
        ("quarter", "class.aliquot.dev/quarter is not offered by any node"),
        ("half", "GPUClass half: MPS share, 1 of 2 on l4: the agent of its node has no mpsRoot"),
        ("whole", "1 node matches, it is full: needs 1 class.aliquot.dev/whole, 0 free"),
    ],
)
def test_why(name: str, reason: str) -> None:
    policies = Policies()
    snapshot, rankings = Snapshot(), Rankings(policies)
    gpu = GpuFacts("a-gpu0", board="l4", memory_mib=23034, mps_clients=0)
    snapshot.set_facts(replace(node("a", "whole"), gpus=(gpu,), classes=CLASSES))
    snapshot.set_pod(placed(pod("holder", wants={GPU: 1}), "a gpu0", admitted=True))
    waiting = pod("p", wants={f"class.aliquot.dev/{name}": 1})
    assert why_no_node(snapshot, waiting.shape, rankings).message == reason


@pytest.mark.parametrize(
    ("layouts", "reason"),
    [
        (["whole:big!outdated"], "1 of that name is not what the GPUClass asks for"),
        # Also what others have: nobody will get it after them.
        (
            ["whole:big!outdated=default/x", "whole:big!outdated"],
            "2 of that name are not what the GPUClass asks for",
        ),
    ],
)
def test_what_bears_the_name_and_is_not_what_the_class_asks_for_is_told(
    layouts: list[str], reason: str
) -> None:
    policies = Policies()
    snapshot, rankings = Snapshot(), Rankings(policies)
    big = {"big": ways("1/4 mps")}
    snapshot.set_facts(node("a", *layouts, cut="h100-80gb", static=True, classes=big))
    waiting = pod("p", wants={"class.aliquot.dev/big": 1})
    told = why_no_node(snapshot, waiting.shape, rankings).message
    assert told == f"class.aliquot.dev/big is not offered by any node: {reason}"
