"""One row for each thing that is known of a driver and GPUs."""

import pytest

from aliquot.kube.api.gpupolicy import KernelModule
from aliquot.operator.core.upgrade.fit import misfit

AUTO, OPEN = KernelModule.AUTO, KernelModule.OPEN


@pytest.mark.parametrize(
    ("version", "module", "compute", "says"),
    [
        ("595.91.07", AUTO, "9.0", ""),
        ("595.91.07", AUTO, "7.5", ""),
        ("595.91.07", AUTO, "7.0", "580 is the last branch for Maxwell, Pascal and Volta"),
        ("595.91.07", AUTO, "5.2", "580 is the last branch"),
        ("580.126.20", AUTO, "7.0", ""),
        ("580.126.20", AUTO, "6.1", ""),
        ("580.126.20", AUTO, "3.7", "470 is the last branch for Kepler"),
        ("470.256.02", AUTO, "3.7", ""),
        ("580.126.20", OPEN, "7.0", "open kernel modules need GPUs of Turing or later"),
        ("580.126.20", OPEN, "7.5", ""),
        ("sha256:" + "0" * 64, AUTO, "3.7", ""),
        ("latest", AUTO, "3.7", ""),
        ("595.91.07", OPEN, "", ""),
        ("595.91.07", OPEN, "new.est", ""),
    ],
)
def test_what_is_known_against_a_driver(version: str, module: KernelModule, compute: str, says: str) -> None:
    major, _, minor = compute.partition(".")
    labels = {"nvidia.com/gpu.compute.major": major, "nvidia.com/gpu.compute.minor": minor} if compute else {}
    found = misfit(version, module, labels)
    assert says in found
    assert bool(says) == bool(found)
