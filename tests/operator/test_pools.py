"""Which driver image a node needs, and when the label changes that says so."""

from collections.abc import Mapping

import pytest

from aliquot.operator.core.pools import POOL_LABEL, Pool, fitting, pool_change, pool_of

KERNEL = "6.8.0-60-generic"
UBUNTU = Pool("ubuntu24.04")
COMPILED = Pool("ubuntu24.04", KERNEL)
OLD_KERNEL = Pool("ubuntu24.04", "6.5.0-1-generic")
NFD = {
    "feature.node.kubernetes.io/system-os_release.ID": "rhel",
    "feature.node.kubernetes.io/system-os_release.VERSION_ID": "9.4",
}


@pytest.mark.parametrize(
    ("labels", "os_image", "pool"),
    [
        ({}, "Ubuntu 24.04.1 LTS", "ubuntu24.04"),
        ({}, "Red Hat Enterprise Linux 9.4 (Plow)", "rhel9"),
        ({}, "SUSE Linux Enterprise Server 15 SP5", "sles15.5"),
        ({}, "Plan 9", None),
        ({}, "", None),
        (NFD, "", "rhel9"),
        (NFD, "Ubuntu 24.04.1 LTS", "rhel9"),
    ],
)
def test_what_a_node_runs(labels: Mapping[str, str], os_image: str, pool: str | None) -> None:
    found = pool_of(labels, os_image, KERNEL, precompiled=False)
    assert (found.key if found is not None else None) == pool


@pytest.mark.parametrize(
    ("shown", "wanted", "may_restart", "becomes"),
    [
        ("", UBUNTU, False, UBUNTU.key),
        (UBUNTU.key, UBUNTU, True, "as it was"),
        (UBUNTU.key, COMPILED, False, "as it was"),
        (UBUNTU.key, COMPILED, True, COMPILED.key),
        (COMPILED.key, UBUNTU, False, "as it was"),
        # Neither works on the node any more: it was booted into another kernel, or another system.
        (OLD_KERNEL.key, COMPILED, False, COMPILED.key),
        ("rhel9", UBUNTU, False, UBUNTU.key),
        # The node's system is not known: what runs may go on.
        (UBUNTU.key, None, True, "as it was"),
    ],
)
def test_when_a_node_changes_its_pool(
    shown: str, wanted: Pool | None, may_restart: bool, becomes: str
) -> None:
    labels = {POOL_LABEL: shown} if shown else {}
    fits = fitting({}, "Ubuntu 24.04.1 LTS", KERNEL)
    change = pool_change(labels, wanted, is_driver_wanted=True, fits=fits, may_restart=may_restart)
    assert change == ({} if becomes == "as it was" else {POOL_LABEL: becomes})


def test_without_a_driver_there_is_no_pool() -> None:
    labels = {POOL_LABEL: UBUNTU.key}
    change = pool_change(labels, None, is_driver_wanted=False, fits={UBUNTU.key}, may_restart=False)
    assert change == {POOL_LABEL: None}
