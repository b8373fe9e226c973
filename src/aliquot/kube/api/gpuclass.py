"""GPUClass: what pods ask for by name, and the ways to provide it, in order.

A pod asks for `class.aliquot.dev/NAME`. What stands behind it is decided when the pod is placed: the first of the ways
for which there is room. The slice, share or GPU is then offered under that name alone, until nobody has used it for
a while.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from aliquot.kube.api.gpunode import API_VERSION, MOST_SHARES, Sharing, list_map
from aliquot.kube.api.meta import Condition, ObjectMeta

CLASS_PREFIX = "class.aliquot.dev/"
LONGEST_NAME = 63 - len(CLASS_PREFIX)
"""Kubelet takes no longer names of resources from a device plugin."""

CLASS_ANNOTATION = "aliquot.dev/gpu-class"
"""On a pod: the name of the GPUClass of which its first container is to get one."""


def resource_of(class_name: str) -> str:
    return CLASS_PREFIX + class_name


class MigWay(Struct, kw_only=True, rename="camel"):
    profile: Annotated[str, Meta(min_length=1)]
    """As the board prints it: `1g.10gb`."""


class SharesWay(Struct, kw_only=True, rename="camel"):
    """One of `replicas` shares of a whole GPU."""

    replicas: Annotated[int, Meta(ge=2, le=MOST_SHARES)]
    """How many shares the GPU is made into."""


class WholeWay(Struct, kw_only=True, rename="camel"):
    """A GPU that is nobody else's."""


class Way(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Exactly one of them."""

    mig: MigWay | None = None
    """A MIG slice of a profile."""
    mps: SharesWay | None = None
    """A share under MPS, with its part of memory and compute."""
    time_slicing: SharesWay | None = None
    """A share by turns, without a limit of its own."""
    whole: WholeWay | None = None
    """A whole GPU."""

    @property
    def sharing(self) -> Sharing:
        if self.mps is not None:
            return Sharing.MPS
        return Sharing.TIME_SLICING if self.time_slicing is not None else Sharing.NONE

    @property
    def replicas(self) -> int:
        """1: it is one container's alone."""
        shares = self.mps or self.time_slicing
        return shares.replicas if shares is not None else 1

    def __str__(self) -> str:
        if self.mig is not None:
            return f"MIG slice {self.mig.profile}"
        if self.whole is not None:
            return "whole GPU"
        name = "MPS share" if self.mps is not None else "time slice"
        return f"{name}, 1 of {self.replicas}"


class Isolation(StrEnum):
    """From others on the same GPU."""

    NONE = "None"
    """One may take all of the memory, and its fault ends the others."""
    LIMITS = "Limits"
    """Each has its part of memory and compute, unless it lifts the limit itself; a fault ends the others."""
    HARDWARE = "Hardware"
    """Memory, compute and faults are apart."""


_ONE_OF = "[has(w.mig), has(w.mps), has(w.timeSlicing), has(w.whole)].filter(x, x).size() == 1"
_EACH_IS_ONE = Meta(
    max_length=16,
    extra_json_schema={
        "x-kubernetes-validations": [
            {
                "rule": f"self.all(w, {_ONE_OF})",
                "message": "each way is exactly one of mig, mps, timeSlicing and whole",
            },
            {
                # NVIDIA, Multi-Process Service. Where a board takes fewer, the class says so once such a node is there.
                "rule": "self.all(w, !has(w.mps) || w.mps.replicas <= 48)",
                "message": "an MPS server takes 48 clients: name no more replicas of mps, or use timeSlicing",
            },
        ]
    },
)


_QUANTITY = Meta(
    max_length=32,
    extra_json_schema={
        "x-kubernetes-validations": [
            {
                "rule": "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
                "message": "memory is a quantity above zero, like 10Gi",
            }
        ]
    },
)


class GPUClassSpec(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What is asked for, and the ways to provide it. Without `ways` they follow from what is asked for and the board, those
    that waste least first."""

    memory: Annotated[str, _QUANTITY] = ""
    """At least so much, as a quantity: `10Gi`."""
    compute_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    """At least this part of a GPU's compute."""
    isolation: Isolation = Isolation.NONE
    """At least so much, from others on the same GPU."""
    ways: Annotated[list[Way], _EACH_IS_ONE] = []
    """The first for which there is room is taken; empty: they follow from the rest."""
    boards: Annotated[list[str], Meta(max_length=32)] = []
    """Keys of the boards it may be on (`h100-80gb`); empty: any."""


# Ways are taken as they are named: what they do not provide is refused here, or nobody would notice.
_CONSISTENT = Meta(
    extra_json_schema={
        "x-kubernetes-validations": [
            {
                "rule": "has(self.memory) || (has(self.computePercent) && self.computePercent > 0) "
                "|| (has(self.ways) && self.ways.size() > 0)",
                "message": "nothing is asked for: give memory, computePercent or ways",
            },
            {
                "rule": "!has(self.isolation) || self.isolation != 'Hardware' || !has(self.ways) "
                "|| self.ways.all(w, has(w.mig) || has(w.whole))",
                "message": "isolation Hardware is what mps and timeSlicing do not give: leave them out of ways, or ask "
                "for less isolation",
            },
            {
                "rule": "!has(self.isolation) || self.isolation != 'Limits' || !has(self.ways) "
                "|| self.ways.all(w, !has(w.timeSlicing))",
                "message": "isolation Limits is what timeSlicing does not give: leave it out of ways, or ask for "
                "isolation None",
            },
            {
                "rule": "!has(self.computePercent) || !has(self.ways) || self.ways.all(w, "
                "(!has(w.mps) || w.mps.replicas * self.computePercent <= 100) && "
                "(!has(w.timeSlicing) || w.timeSlicing.replicas * self.computePercent <= 100))",
                "message": "one of so many replicas has less than computePercent of a GPU: name fewer, or ask for less",
            },
        ]
    }
)


class GPUClassStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    observed_generation: int = 0
    """Of the spec that this is about."""
    available: int | None = None
    """How many more could be had now, one after the other, whatever stands behind them."""
    in_use: int | None = None
    """How many pods have now."""
    conditions: Annotated[list[Condition], list_map("type")] = []
    """Whether it can be had, and why not."""


class GPUClass(Struct, kw_only=True, rename="camel", omit_defaults=True):
    metadata: ObjectMeta
    spec: Annotated[GPUClassSpec, _CONSISTENT]
    status: GPUClassStatus = field(default_factory=GPUClassStatus)
    """How many there are to be had, as the partitioner counts them."""
    api_version: str = API_VERSION
    kind: str = "GPUClass"
