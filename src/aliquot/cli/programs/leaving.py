"""`aliquot uninstall --nodes-only`, which Helm runs before a release goes: the real one, against the emulated cluster."""

from dataclasses import dataclass

from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.installation import hook, leaving
from aliquot.kube.errors import ApiError


@dataclass(eq=False)
class Leaving:
    software: NodeSoftware

    async def run(self, say: Say) -> End:
        surroundings = self.software.surroundings
        assert surroundings is not None
        client = surroundings.client(hook.ACCOUNT, self.software.name)
        try:
            async for line in leaving.leave(client, leaving.Options(nodes_only=True)):
                say(line)
        except ApiError as error:
            say(f"error: {error}")
            return End(1, str(error))
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return ProbeResult(True)

    def gone(self) -> None:
        pass
