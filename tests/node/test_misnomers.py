"""Names that say something else of a device."""

import pytest

from aliquot.node.inventory import observe
from aliquot.node.misnomers import misnomers
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import resolve
from tests.node.machines import machine

GPUS = observe(machine("h100-80gb:1")).gpus
SMALL = "resources.mig: 1g.10gb slices are called nvidia.com/gpu: who asks for it counts on a whole GPU"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("resources: {gpus: [{pattern: '*', name: h100}], mig: [{pattern: '1g.*', name: small}]}", ()),
        ("resources: {mig: [{pattern: '1g.10gb', name: gpu}]}", (SMALL,)),
        ("flags: {migStrategy: none}\nresources: {mig: [{pattern: '1g.10gb', name: gpu}]}", ()),
        (
            "resources: {mig: [{pattern: '3g.*', name: mig-4g.40gb}, {pattern: '2g.*', name: mig-4g.40gb}]}",
            (
                "resources.mig: 2g.20gb slices, 3g.40gb slices are called nvidia.com/mig-4g.40gb: "
                "who asks for it counts on a 4g.40gb slice",
            ),
        ),
        (
            "resources: {gpus: [{pattern: '*', name: mig-1g.10gb}]}",
            (
                "resources.gpus: NVIDIA H100 80GB HBM3 are called nvidia.com/mig-1g.10gb: "
                "who asks for it counts on a 1g.10gb slice",
            ),
        ),
        ("sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2}]}}", ()),
        ("sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, rename: gpu.shared}]}}", ()),
        ("sharing: {timeSlicing: {resources: [{name: gpu, replicas: 2, rename: part}]}}", ()),
        (
            "sharing: {timeSlicing: {resources: [{name: mig-1g.10gb, replicas: 2, rename: gpu}]}}",
            (
                "f:1: shares of nvidia.com/mig-1g.10gb are called nvidia.com/gpu: "
                "who asks for it counts on a whole GPU",
            ),
        ),
        (
            "flags: {mpsRoot: /m}\nsharing: {mps: {resources: [{name: gpu, replicas: 2, rename: mig-1g.10gb.shared}]}}",
            (
                "f:2: shares of nvidia.com/gpu are called nvidia.com/mig-1g.10gb.shared: "
                "who asks for it counts on a 1g.10gb slice",
            ),
        ),
    ],
)
def test_a_name_that_says_something_else_is_told(text: str, expected: tuple[str, ...]) -> None:
    assert misnomers(GPUS, resolve(Flags(), parse(text, source="f"))) == expected
