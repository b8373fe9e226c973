"""The GPUs that a `mig` command is about: this machine's, or those of an inventory, with who uses them."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.mig.outcomes import Exit, MigError

if TYPE_CHECKING:
    from aliquot.gpu.driver import Driver, LostGpu
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
    lost: "tuple[LostGpu, ...]" = ()
    """GPUs that are in the machine and cannot be reached; not among `gpus`."""

    def title(self, observed: "ObservedGpu") -> str:
        return self._title(observed.gpu.index)

    @property
    def titles(self) -> Mapping[str, str]:
        """By UUID; of lost GPUs, too, as far as theirs is known."""
        lost = {one.uuid: self._title(one.index) for one in self.lost if one.uuid}
        return lost | {observed.gpu.uuid: self.title(observed) for observed in self.gpus}

    def losses(self, indexes: Collection[int] | None = None) -> list[str]:
        """A line for each lost GPU; `indexes`: those alone."""
        return [
            f"{self._title(lost.index)}{f' ({lost.uuid})' if lost.uuid else ''} {_ailment(lost)}"
            for lost in self.lost
            if indexes is None or lost.index in indexes
        ]

    def _title(self, index: int) -> str:
        return f"{self.name}/{index}" if self.name else f"GPU {index}"


def _ailment(lost: "LostGpu") -> str:
    from aliquot.gpu.driver import ReturnCode

    match lost.error.code:
        case ReturnCode.GPU_IS_LOST:
            return "is lost: it has fallen off the bus; reboot the machine"
        case ReturnCode.RESET_REQUIRED:
            return f"needs a reset: nvidia-smi --gpu-reset -i {lost.index}"
        case _:
            return f"does not answer: {lost.error}; reset it, or reboot the machine"


def refuse_losses(found: "Iterable[Machine]", indexes: Collection[int] | None = None) -> None:
    """Raises MigError where what the command is about is not all there; `indexes`: it is about these GPUs alone."""
    if lines := [line for machine in found for line in machine.losses(indexes)]:
        raise MigError(Exit.DRIVER, lines)


def tell_losses(found: "Iterable[Machine]") -> None:
    """To people, beside an answer that is good without the lost GPUs."""
    for machine in found:
        for line in machine.losses():
            click.echo(f"warning: {line}", err=True)


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
    return look(machine.name, machine.driver, users)


def look(name: str, driver: "Driver", users: Mapping[str, str]) -> Machine:
    """GPUs without their links. Raises click.ClickException when the driver as a whole does not answer."""
    from aliquot.gpu.driver import DriverError
    from aliquot.node.inventory import observe_gpu

    try:
        gpus = sorted(driver.gpus(), key=lambda gpu: gpu.index)
        listed = {gpu.index for gpu in gpus}
        # One that is lost between the two calls fails when it is read.
        lost = tuple(one for one in driver.lost_gpus() if one.index not in listed)
    except DriverError as error:
        raise MigError(Exit.DRIVER, [f"the driver does not list its GPUs: {error}"]) from error
    observed = tuple(observe_gpu(driver, gpu, with_links=False) for gpu in gpus)
    return Machine(name, driver, observed, users, lost)


def _this_machine(source: Source) -> Machine:
    from aliquot.gpu.driver import DriverError
    from aliquot.gpu.nvml import NvmlDriver

    if source.node is not None:
        raise click.UsageError("--node is for the nodes of an inventory (--driver simulated:INVENTORY)")
    try:
        driver = NvmlDriver()
    except DriverError as error:
        raise MigError(Exit.DRIVER, [f"{error}; without a GPU, try --driver simulated:INVENTORY"]) from error
    return look(THIS_MACHINE, driver, _pods(source.kubelet))


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
    return {device: f"pod {', '.join(pods)}" for device, pods in found.shares_by_device.items()}


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
            driver = SimulatedDriver(node.gpus, node=name, fabric=node.fabric, state_file=file)
        except GpuHeld as error:
            raise MigError(Exit.IN_USE, [str(error)]) from error
        except ValueError as error:
            raise click.ClickException(f"{file}: {error}; delete the file to begin anew") from error
        except OSError as error:
            raise click.ClickException(
                f"{error.filename}: {error.strerror}; choose another --state"
            ) from error
        found.append(look(name, driver, {}))
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
