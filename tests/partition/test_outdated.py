"""What bears the name of a GPUClass and is not what the class asks for."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.outdated import outdated
from tests.partition.objects import facts, status

BY_PROFILE = {"ways": [{"mig": {"profile": "1g.10gb"}}, {"mps": {"replicas": 4}}]}
EVERYTHING = frozenset({0})
THE_GPU = frozenset({None})
NOTHING: frozenset[int | None] = frozenset()


@pytest.mark.parametrize(
    ("rule", "layout", "spec", "found"),
    [
        ("a way that it names", "1g.10gb@0:small", BY_PROFILE, NOTHING),
        ("another of them", "whole:small*4,mps", BY_PROFILE, NOTHING),
        ("none of them", "2g.20gb@0:small", BY_PROFILE, EVERYTHING),
        ("in another number of shares", "whole:small*2,mps", BY_PROFILE, THE_GPU),
        ("shared in another way", "whole:small*4,timeSlicing", BY_PROFILE, THE_GPU),
        ("alone where shares are asked for", "whole:small", BY_PROFILE, THE_GPU),
        ("named, and less than is asked for beside it", "1g.10gb@0:small", {**BY_PROFILE, "memory": "15Gi"}, EVERYTHING),
        ("enough memory", "1g.10gb@0:small", {"memory": "9Gi"}, NOTHING),
        ("too little", "1g.10gb@0:small", {"memory": "15Gi"}, EVERYTHING),
        ("more than would be made for it", "whole:small*2,mps", {"memory": "9Gi"}, NOTHING),
        ("too little in a share", "whole:small*8,mps", {"memory": "15Gi"}, THE_GPU),
        ("too little isolation", "whole:small*8,mps", {"memory": "9Gi", "isolation": "Hardware"}, THE_GPU),
        ("on a board that it is for", "1g.10gb@0:small", {"memory": "9Gi", "boards": ["h100-80gb"]}, NOTHING),
        ("on another", "1g.10gb@0:small", {"memory": "9Gi", "boards": ["l4"]}, EVERYTHING),
        ("what it asks for cannot be read", "1g.10gb@0:small", {"memory": "much"}, EVERYTHING),
        ("there is no such class", "1g.10gb@0:other", BY_PROFILE, EVERYTHING),
        ("held or not", "1g.10gb@0:other=a 1g.10gb@1:small", BY_PROFILE, EVERYTHING),
        ("of no class", "2g.20gb@0", BY_PROFILE, NOTHING),
        ("a part of a GPU instance cannot be judged", "1c.2g.20gb@0:small", BY_PROFILE, NOTHING),
        ("nor one that is shared", "1g.10gb@0:small*3,timeSlicing", BY_PROFILE, NOTHING),
    ],
)  # fmt: skip
def test_what_is_outdated(rule: str, layout: str, spec: dict[str, Any], found: frozenset[int | None]) -> None:
    assert starts(layout, spec, facts()) == found, rule


def test_slices_of_which_the_node_does_not_tell_what_they_are_stay() -> None:
    assert starts("1g.10gb@0:small", {"memory": "15Gi"}, facts(known=False)) == NOTHING


def starts(layout: str, spec: dict[str, Any], gpu: GpuFacts) -> frozenset[int | None]:
    return outdated(status(layout), gpu, {"small": msgspec.convert(spec, GPUClassSpec)})
