"""The pod that tries a device: its kernel is not run here, and what it needs for one is looked at."""

from dataclasses import dataclass

from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say


@dataclass(eq=False)
class Workload:
    software: NodeSoftware
    config: ContainerConfig

    async def run(self, say: Say) -> End:
        ids = sorted(one for ids in self.config.options.device_ids.values() for one in ids)
        if not self.software.loadable.version:
            return _failed(say, "cuInit: CUDA_ERROR_NO_DEVICE")
        if not ids:
            return _failed(say, "no device was given to this container")
        say(f"{ids[0]}: vector addition of 65536 elements: passed")
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return ProbeResult(True)

    def gone(self) -> None:
        pass


def _failed(say: Say, why: str) -> End:
    say(why)
    return End(1, why)
