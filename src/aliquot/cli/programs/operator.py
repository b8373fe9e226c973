"""`aliquot operator run`, of a Deployment that an installation brought: the real one, that leads or waits."""

import asyncio
import random
from dataclasses import dataclass, field

import click

from aliquot.cli.connect import election
from aliquot.cli.operator.run import OUR_IMAGE, run_operator
from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, HttpCheck, ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.operator.core.operands import parse_image, shipped
from aliquot.operator.operator import COMPONENT, Operator

_USAGE = 2
_LOOK_S = 0.1


@dataclass(eq=False)
class OperatorProgram:
    software: NodeSoftware
    config: ContainerConfig
    _operator: Operator | None = field(default=None)

    async def run(self, say: Say) -> End:
        surroundings = self.software.surroundings
        assert surroundings is not None
        try:
            ours = self.config.env.get("ALIQUOT_IMAGE", OUR_IMAGE)
            said = run_operator.make_context("run", ["--image", ours, *self.config.args[2:]]).params
            image = parse_image(said["our_image"])
        except (click.UsageError, ValueError) as error:
            say(f"Error: {error}")
            return End(_USAGE, str(error))
        client = surroundings.client(COMPONENT, self.software.name)
        rng = random.Random(client.rng.getrandbits(64))
        self._operator = Operator(
            client,
            clock=surroundings.clock,
            rng=rng,
            images=shipped(image),
            election=election(client, COMPONENT, rng) if said["leader_elect"] else None,
        )
        say("follows the GPUPolicies")
        await self._operator.run()
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        if isinstance(request.check, HttpCheck) and request.check.path == "/readyz":
            # The next question would be ten seconds away.
            while self._operator is None or self._operator.waits_for():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        return ProbeResult(True)

    def gone(self) -> None:
        pass
