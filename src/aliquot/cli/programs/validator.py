"""`aliquot node validate`: the real one. That it runs at all shows that containers are shown GPUs."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click

from aliquot.cli.node.validate import validate
from aliquot.cli.programs.software import NodeSoftware
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, HttpCheck, ProbeRequest, ProbeResult
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.node.validation.answers import answer_of
from aliquot.node.validation.validator import Validator
from aliquot.node.validation.workload import Workload

_USAGE = 2
_LOOK_S = 0.5


@dataclass(eq=False)
class Validation:
    software: NodeSoftware
    config: ContainerConfig
    _validator: Validator | None = field(default=None)

    async def run(self, say: Say) -> End:
        surroundings = self.software.surroundings
        assert surroundings is not None
        try:
            workload = _workload(self.config.args[2:], self.software.name)
        except click.UsageError as error:
            say(f"Error: {error.format_message()}")
            return End(_USAGE, error.format_message())
        client = surroundings.client("aliquot-validator", self.software.name)
        self._validator = Validator(
            self.software.name,
            client=client,
            clock=surroundings.clock,
            rng=random.Random(client.rng.getrandbits(64)),
            run_blocking=_at_once,
            ask_driver=partial(answer_of, self.software.loadable.driver),
            not_injected=str,
            workload=workload,
        )
        say(f"checks the GPUs of {self.software.name}")
        await self._validator.run()
        return End(0)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        if isinstance(request.check, HttpCheck) and request.check.path == "/readyz":
            # The next question would be ten seconds away.
            while self._validator is None or self._validator.waits_for():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)
        return ProbeResult(True)

    def gone(self) -> None:
        pass


def _workload(arguments: tuple[str, ...], node_name: str) -> Workload | None:
    """Raises click.UsageError."""
    said = validate.make_context("validate", [*arguments, "--node-name", node_name]).params
    if not said["workload"]:
        return None
    labels = dict(label.partition("=")[::2] for label in said["labels"])
    return Workload(said["image"], said["namespace"], said["pull_secrets"], labels)


async def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
