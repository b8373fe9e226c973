"""Which GPUs a driver does not run on: known beforehand, so that no node is taken out for nothing."""

import re
from collections.abc import Mapping

from aliquot.kube.api.gpupolicy import KernelModule

_COMPUTE = "nvidia.com/gpu.compute.{}"
"""As the node agent labels a node, of all its GPUs: `major`, `minor`."""
_BRANCH = re.compile(r"^(\d{3})(?:\.\d+)*$", re.ASCII)

_LAST_BRANCHES = (((3, 7), "Kepler", 470), ((7, 2), "Maxwell, Pascal and Volta", 580))
"""Up to which compute capability, and the last branch of the driver for them: NVIDIA's feature deprecation schedule for Unix,
forums.developer.nvidia.com/t/60588."""
_TURING = (7, 5)
"""The first with the processor that NVIDIA's open kernel modules need: github.com/NVIDIA/open-gpu-kernel-modules/issues/19."""


def misfit(version: str, kernel_module: KernelModule, labels: Mapping[str, str]) -> str:
    """Why the driver would not run on the node's GPUs; empty: nothing is known against it."""
    compute = _compute(labels)
    if compute is None:
        return ""
    if kernel_module is KernelModule.OPEN and compute < _TURING:
        return f"open kernel modules need GPUs of Turing or later, its are of compute capability {_said(compute)}"
    found = _BRANCH.match(version)
    if found is None:
        return ""
    branch = int(found[1])
    for newest, named, last in _LAST_BRANCHES:
        if compute <= newest:
            if branch > last:
                return f"driver {version} does not know its GPUs: {last} is the last branch for {named}"
            return ""
    return ""


def _compute(labels: Mapping[str, str]) -> tuple[int, int] | None:
    try:
        return int(labels[_COMPUTE.format("major")]), int(labels[_COMPUTE.format("minor")])
    except (KeyError, ValueError):
        return None


def _said(compute: tuple[int, int]) -> str:
    return ".".join(map(str, compute))
