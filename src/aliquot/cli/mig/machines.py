"""The GPUs that a `mig` command is about: this machine's, or those of an inventory, with who uses them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.mig.outcomes import Exit, MigError

if TYPE_CHECKING:
    from aliquot.gpu.driver import Driver
    from aliquot.gpu.inventory import Inventory
    from aliquot.node.inventory import ObservedGpu

KUBELET_DIRECTORY = Path("/var/lib/kubelet")
STATE_DIRECTORY = Path("/var/lib/aliquot/mig")
THIS_MACHINE = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What the options of a command say."""

    driver: str
    node: str | None
    """Of an inventory: this node alone."""
    state: Path | None
    """Where simulated GPUs are kept between commands, and the journal of changes."""
    kubelet: Path


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    """Empty for this machine."""
    driver: "Driver"
    gpus: "tuple[ObservedGpu, ...]"
    users: Mapping[str, str]
    """UUID of a GPU or MIG device -> the pod that holds it, as kubelet says."""

    def title(self, observed: "ObservedGpu") -> str:
        return f"{self.name}/{observed.gpu.index}" if self.name else f"GPU {observed.gpu.index}"


@contextmanager
def machines(source: Source, *, keep: bool = False) -> Iterator[Sequence[Machine]]:
    """`keep`: simulated GPUs are written to the state directory, if there is one, when they change.

    Raises click.ClickException with the fix.
    """
    kind, _, path = source.driver.partition(":")
    if kind == "nvml" and not path:
        yield [_this_machine(source)]
    elif kind == "simulated" and path:
        with ExitStack() as ours:
            yield _simulated(Path(path), source, ours if keep else None)
    else:
        raise click.UsageError(f"--driver {source.driver!r} is neither 'nvml' nor 'simulated:INVENTORY'")


def look_again(source: Source, machine: Machine) -> Machine:
    """As it is by now, with who holds what by now."""
    users = _pods(source.kubelet) if machine.name == THIS_MACHINE else machine.users
    return replace(machine, gpus=look(machine.driver), users=users)


def look(driver: "Driver") -> "tuple[ObservedGpu, ...]":
    """All GPUs, without their links. Raises click.ClickException when the driver as a whole does not answer."""
    from aliquot.gpu.driver import DriverError
    from aliquot.node.inventory import observe_gpu

    try:
        found = sorted(driver.gpus(), key=lambda gpu: gpu.index)
    except DriverError as error:
        raise click.ClickException(f"the driver does not list its GPUs: {error}") from error
    return tuple(observe_gpu(driver, gpu, with_links=False) for gpu in found)


def _this_machine(source: Source) -> Machine:
    from aliquot.gpu.driver import DriverError
    from aliquot.gpu.nvml import NvmlDriver

    if source.node is not None:
        raise click.UsageError("--node is for the nodes of an inventory (--driver simulated:INVENTORY)")
    try:
        driver = NvmlDriver()
    except DriverError as error:
        raise click.ClickException(f"{error}; without a GPU, try --driver simulated:INVENTORY") from error
    return Machine(THIS_MACHINE, driver, look(driver), _pods(source.kubelet))


def _pods(kubelet: Path) -> Mapping[str, str]:
    """Empty on a machine without a kubelet. Who cannot be asked may hold anything: then nothing is begun."""
    from aliquot.clock import SystemClock
    from aliquot.kube.kubeletapi.sockets import SocketDirectory
    from aliquot.node.pod_resources import SOCKET, Allocations, PodResources

    directory = kubelet / "pod-resources"
    if not (directory / SOCKET).exists():
        return {}

    async def ask() -> Allocations:
        resources = PodResources(SocketDirectory(directory), SystemClock())
        try:
            return await resources.ask()
        finally:
            await resources.close()

    found = asyncio.run(ask())
    if found.failure:
        raise click.ClickException(
            f"{found.failure}; without it nobody knows which slices pods hold: start kubelet, or say with "
            "--kubelet-dir where it is"
        )
    return {device: f"pod {', '.join(pods)}" for device, pods in found.pods_by_device.items()}


def _simulated(path: Path, source: Source, ours: ExitStack | None) -> list[Machine]:
    """`ours`: until when nobody else may change what is kept; None: nothing is kept."""
    from aliquot.gpu.simulated import SimulatedDriver
    from aliquot.node.mig.one_writer import GpuHeld, held

    found = []
    inventory = _inventory(path)
    for node in inventory.nodes:
        if source.node is not None and node.name not in (source.node, ""):
            continue
        name = node.name or source.node or "node-0"
        file = source.state / f"{name}.json" if source.state is not None else None
        if file is not None and ours is None and not file.exists():
            file = None
        try:
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                if ours is not None:
                    # All GPUs of a node are in one file, which is read once and written whole.
                    ours.enter_context(held(file.parent, name))
            driver = SimulatedDriver(node.gpus, node=name, state_file=file)
        except GpuHeld as error:
            raise MigError(Exit.IN_USE, [str(error)]) from error
        except ValueError as error:
            raise click.ClickException(f"{file}: {error}; delete the file to begin anew") from error
        except OSError as error:
            raise click.ClickException(
                f"{error.filename}: {error.strerror}; choose another --state"
            ) from error
        found.append(Machine(name, driver, look(driver), {}))
    if not found:
        from aliquot.document import nearest

        near = nearest(source.node or "", [node.name for node in inventory.nodes])
        raise click.ClickException(f"{path}: the inventory has no node '{source.node}'{near}")
    return found


def _inventory(path: Path) -> "Inventory":
    from aliquot.document import DocumentError
    from aliquot.gpu import inventory

    try:
        return inventory.load(path)
    except DocumentError as error:
        raise click.ClickException(str(error)) from error
