"""CDI specs of a node's devices, as plain data (CDI specification 0.5.0).

The kinds are those of NVIDIA's device plugin, so that its answers and ours name the same: `gpu`, and where they are asked
for `imex-channel`, `gdrcopy`, `gds`, `mofed`. Each GPU and each slice is there by UUID and by index, and all as `all`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.node.advertise import Device
from aliquot.node.companions import CompanionFiles
from aliquot.node.plugin_config.settings import Companion

VENDOR = "k8s.device-plugin.nvidia.com"
GPU = "gpu"
VERSION = "0.5.0"
ALL_HOOKS = "all"

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DriverFiles:
    """What of the driver a container needs beside device nodes. Paths are those of the container."""

    version: str = ""
    libraries: tuple[str, ...] = ()
    binaries: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    control_nodes: tuple[str, ...] = ()
    """Device nodes that every GPU needs."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Where on the host the driver and its device nodes are, and the program that hooks call."""

    driver: str = "/"
    dev: str = "/"
    hook: str = "/usr/bin/nvidia-ctk"
    disabled_hooks: frozenset[str] = frozenset()


def specs(
    devices: Sequence[Device],
    nodes: Mapping[str, Sequence[str]],
    driver: DriverFiles,
    roots: Roots,
    companions: Mapping[Companion, CompanionFiles] | None = None,
) -> Mapping[str, Spec]:
    """By kind. `nodes`: device id to its device nodes, as the container names them."""
    found = {GPU: _gpus(devices, nodes, driver, roots)}
    for companion, files in (companions or {}).items():
        edits: dict[str, Any] = (
            {"deviceNodes": _nodes(files.nodes, roots)} if files.nodes else _told(companion)
        )
        if files.mounts:
            edits["mounts"] = [_mount(path, roots) for path in files.mounts]
        entry = {"name": companion_name(companion), "containerEdits": edits}
        found[companion] = _spec(companion, [entry], {})
    return found


def companion_name(companion: Companion) -> str:
    return "0" if companion is Companion.IMEX_CHANNEL else "all"


def file_name(kind: str) -> str:
    return f"{VENDOR}-{kind}.json"


def _gpus(
    devices: Sequence[Device], nodes: Mapping[str, Sequence[str]], driver: DriverFiles, roots: Roots
) -> Spec:
    entries = []
    everything: dict[str, None] = {}
    for device in devices:
        own = [path for path in nodes.get(device.id, ()) if path not in driver.control_nodes]
        everything.update(dict.fromkeys(own))
        edits = {"deviceNodes": _nodes(own, roots)} if own else _told(device.id)
        entries += [{"name": name, "containerEdits": edits} for name in (device.id, device.index_name)]
    if devices:
        edits = {"deviceNodes": _nodes(everything, roots)} if everything else _told("all")
        entries.append({"name": "all", "containerEdits": edits})
    return _spec(GPU, entries, _common(driver, roots))


def _told(name: str) -> dict[str, Any]:
    """A device must edit something; a simulated one has no device node."""
    return {"env": [f"ALIQUOT_SIMULATED_DEVICE={name}"]}


def _spec(kind: str, entries: list[dict[str, Any]], common: dict[str, Any]) -> Spec:
    found: dict[str, Any] = {"cdiVersion": VERSION, "kind": f"{VENDOR}/{kind}", "devices": entries}
    if common:
        found["containerEdits"] = common
    return found


def _common(driver: DriverFiles, roots: Roots) -> dict[str, Any]:
    # What the toolkit would add by itself is not to come twice.
    edits: dict[str, Any] = {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}
    if driver.control_nodes:
        edits["deviceNodes"] = _nodes(driver.control_nodes, roots)
    mounts = [_mount(path, roots) for path in (*driver.libraries, *driver.binaries, *driver.firmware)]
    mounts += [_mount(path, roots, "noexec") for path in driver.sockets]
    if mounts:
        edits["mounts"] = mounts
    hooks = list(_hooks(driver, roots))
    if hooks:
        edits["hooks"] = hooks
    return edits


def _hooks(driver: DriverFiles, roots: Roots) -> Iterable[dict[str, Any]]:
    if not driver.libraries or ALL_HOOKS in roots.disabled_hooks:
        return
    links = [
        f"--link={path.rpartition('/')[2]}::{path.rpartition('.so.')[0]}.so.1"
        for path in driver.libraries
        if _stem(path) in _LINKED
    ]
    cuda = next((path for path in driver.libraries if _stem(path) == "libcuda"), None)
    if cuda is not None:
        links.append(f"--link=libcuda.so.1::{cuda.rpartition('/')[0]}/libcuda.so")
    folders = dict.fromkeys(path.rpartition("/")[0] for path in driver.libraries)
    calls = {
        "create-symlinks": links,
        "enable-cuda-compat": [f"--host-driver-version={driver.version}"],
        "update-ldcache": [f"--folder={folder}" for folder in folders],
        "disable-device-node-modification": [],
    }
    for name, arguments in calls.items():
        if name not in roots.disabled_hooks and (arguments or name.startswith("disable")):
            yield {
                "hookName": "createContainer",
                "path": roots.hook,
                "args": [roots.hook.rpartition("/")[2], "hook", name, *arguments],
                "env": ["NVIDIA_CTK_DEBUG=false"],
            }


_LINKED = frozenset({"libcuda", "libnvidia-ml", "libnvidia-opencl", "libnvidia-ptxjitcompiler"})
"""Programs ask for them by a name that the driver's installer would link."""


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".so")[0]


def _nodes(paths: Iterable[str], roots: Roots) -> list[dict[str, str]]:
    root = roots.dev.rstrip("/")
    return [{"path": path} | ({"hostPath": f"{root}{path}"} if root else {}) for path in paths]


def _mount(path: str, roots: Roots, *more: str) -> dict[str, Any]:
    return {
        "hostPath": f"{roots.driver.rstrip('/')}{path}",
        "containerPath": path,
        "options": ["ro", "nosuid", "nodev", "rbind", "rprivate", *more],
    }
