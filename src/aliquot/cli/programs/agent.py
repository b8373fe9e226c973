"""Aliquot's node agent: the real one."""

from dataclasses import dataclass

import click

from aliquot.cli.plugin_options import arguments_of
from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.kube.roles import PLUGIN_CONFIG_MAP

_USAGE = 2


@dataclass(eq=False)
class Agent:
    software: NodeSoftware
    config: ContainerConfig

    async def run(self, say: Say) -> End:
        surroundings = self.software.surroundings
        assert surroundings is not None
        try:
            given, config_map = arguments_of(self.config.args, self.config.env, config_map=PLUGIN_CONFIG_MAP)
        except click.UsageError as error:
            say(f"Error: {error.format_message()}")
            return End(_USAGE, error.format_message())
        self.software.clients[self] = f"{self.config.pod_namespace}/{self.config.pod_name}"
        say(f"serves the GPUs of {self.software.name}")
        await surroundings.agent(self.software.name, given, config_map)
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        return ProbeResult(True)

    def gone(self) -> None:
        self.software.clients.pop(self, None)
