"""`aliquot node discover`: the real one, on the simulated PCI bus. GPUs are on it with or without a driver."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.node.discovery.labeller import Labeller
from aliquot.node.discovery.pci import NVIDIA, PciDevice


@dataclass(eq=False)
class Discovery:
    software: NodeSoftware

    async def run(self, say: Say) -> End:
        surroundings = self.software.surroundings
        assert surroundings is not None
        client = surroundings.client("aliquot-discovery", self.software.name)
        labeller = Labeller(
            self.software.name,
            client=client,
            read_bus=self._read_bus,
            rng=random.Random(client.rng.getrandbits(64)),
            run_blocking=_at_once,
        )
        say(f"{len(self._read_bus())} GPUs are on the bus")
        await labeller.run()
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return ProbeResult(True)

    def gone(self) -> None:
        pass

    def _read_bus(self) -> Sequence[PciDevice]:
        hardware = self.software.loadable.hardware
        return [
            PciDevice(
                gpu.pci_bus_id.lower(), NVIDIA, (gpu.pci_device_id or 0) >> 16, (gpu.pci_class or 0) >> 8
            )
            for gpu in hardware.gpus()
        ]


async def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
