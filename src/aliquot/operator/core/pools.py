"""Driver images are built for an operating system, precompiled ones for a kernel: nodes that need the same are a pool."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

POOL_LABEL = "aliquot.dev/driver-pool"
"""On a node: its pool's key, by which a DaemonSet of the driver selects it."""
_NFD_ID = "feature.node.kubernetes.io/system-os_release.ID"
_NFD_VERSION = "feature.node.kubernetes.io/system-os_release.VERSION_ID"

_IMAGES = (
    (re.compile(r"^Ubuntu (\d+\.\d+)"), "ubuntu{}"),
    (re.compile(r"^Red Hat Enterprise Linux (\d+)"), "rhel{}"),
    (re.compile(r"^Rocky Linux (\d+)"), "rocky{}"),
    (re.compile(r"^Debian GNU/Linux (\d+)"), "debian{}"),
    (re.compile(r"^SUSE Linux Enterprise Server (\d+)(?: SP(\d+))?"), "sles{}"),
    (re.compile(r"^Amazon Linux (\d+)"), "amzn{}"),
)
"""`nodeInfo.osImage`, which is the PRETTY_NAME of os-release, and the tag of NVIDIA's driver images."""
_MAJOR_ONLY = frozenset({"rhel", "rocky", "debian"})


@dataclass(frozen=True, slots=True)
class Pool:
    os_tag: str
    kernel: str = ""
    """Empty: the image builds the module for whichever runs."""

    @property
    def key(self) -> str:
        """A label's value, and part of a name."""
        if not self.kernel:
            return self.os_tag
        # Kernels have names that are too long, and characters that no name may have.
        return f"{self.os_tag}-{hashlib.sha256(self.kernel.encode()).hexdigest()[:8]}"

    def tag(self, version: str) -> str:
        """Of the driver image. A digest is one image: it stays what it is."""
        if version.startswith("sha256:"):
            return version
        if self.kernel:
            return f"{version.partition('.')[0]}-{self.kernel}-{self.os_tag}"
        return f"{version}-{self.os_tag}"


def pool_of(labels: Mapping[str, str], os_image: str, kernel: str, *, precompiled: bool) -> Pool | None:
    """None: there are no driver images for what the node runs, as far as is known."""
    tag = _by_nfd(labels) or _by_image(os_image)
    return Pool(tag, kernel if precompiled else "") if tag else None


def fitting(labels: Mapping[str, str], os_image: str, kernel: str) -> frozenset[str]:
    """Keys of all pools whose images work on the node, whichever the policy wants."""
    pools = [pool_of(labels, os_image, kernel, precompiled=one) for one in (False, True)]
    return frozenset(pool.key for pool in pools if pool is not None)


def pool_change(
    labels: Mapping[str, str],
    wanted: Pool | None,
    *,
    is_driver_wanted: bool,
    fits: Collection[str],
    may_restart: bool,
) -> Mapping[str, str | None]:
    """What changes of the node's pool label. With it the node's driver is another's to bring, and the one that runs is ended at
    once: as long as that one fits, only its upgrade may do so (`may_restart`)."""
    shown = labels.get(POOL_LABEL)
    key = wanted.key if wanted is not None else None
    if shown == key:
        return {}
    if shown is not None and is_driver_wanted and (key is None or (shown in fits and not may_restart)):
        return {}
    return {POOL_LABEL: key}


def no_pool(os_image: str) -> str:
    """Told of a node for which there is none."""
    system = os_image or "an operating system that is not known"
    return (
        f"there are no driver images for {system}: install the driver with the node's image, and set "
        "spec.driver.preinstalled in a policy for such nodes"
    )


def _by_nfd(labels: Mapping[str, str]) -> str:
    system, version = labels.get(_NFD_ID, ""), labels.get(_NFD_VERSION, "")
    if not system or not version:
        return ""
    return f"{system}{version.partition('.')[0] if system in _MAJOR_ONLY else version}"


def _by_image(os_image: str) -> str:
    for pattern, tag in _IMAGES:
        if (found := pattern.match(os_image)) is not None:
            return tag.format(".".join(part for part in found.groups() if part))
    return ""
