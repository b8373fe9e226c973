"""dcgm-exporter, which is well as long as it has a driver to ask."""

import asyncio
import re
from dataclasses import dataclass

from aliquot.cli.programs.images import not_pulled, tag_of
from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say

_TAG = re.compile(r"\d+\.\d+\.\d+-\d+\.\d+\.\d+.*")


@dataclass(eq=False)
class Exporter:
    software: NodeSoftware
    config: ContainerConfig

    @staticmethod
    def of(software: NodeSoftware, config: ContainerConfig) -> "Exporter":
        tag = tag_of(config.image)
        if tag and not _TAG.fullmatch(tag):
            raise not_pulled(config.image, "versions as 4.6.0-4.8.3-distroless")
        return Exporter(software, config)

    async def run(self, say: Say) -> End:
        self.software.clients[self] = f"{self.config.pod_namespace}/{self.config.pod_name}"
        say(f"asks driver {self.software.loadable.version}")
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that")

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        if not self.software.loadable.version:
            return ProbeResult(False, "HTTP probe failed with statuscode: 503")
        return ProbeResult(True)

    def gone(self) -> None:
        self.software.clients.pop(self, None)
