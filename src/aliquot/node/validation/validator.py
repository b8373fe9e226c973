"""Does the checks on its node, and tells how they went: as a condition of the GPUNode, an event, and figures.

First with the pod that tries a device, then every few minutes without it; after a failure again with it, ever more rarely.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from aliquot.clock import Clock, rfc3339
from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.meta import Condition, OwnerReference
from aliquot.kube.api.node_checks import CHECKING, CHECKS_PASSED
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import GPUNODES, NODES
from aliquot.kube.retry import Backoff
from aliquot.metrics.exposition import render
from aliquot.node.driver_access import RunBlocking
from aliquot.node.validation import checks, devices
from aliquot.node.validation.checks import Answer, Outcome, Report
from aliquot.node.validation.figures import Figures
from aliquot.node.validation.trial import Trial
from aliquot.node.validation.workload import Workload

FIELD_MANAGER = "aliquot-validator"

LOOK_S = 300.0
"""Between two runs, while all is well."""
_FIRST_RETRY_S = 10.0
_FIRST_LOOK_S, _PACE_S = 0.5, 5.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long what is not yet well may become so, before it is told."""

    driver_s: float = 60.0
    plugin_s: float = 150.0


class Validator:
    """`ask_driver` and `not_injected` block; `answers` has them. `workload` None: no pod is run."""

    def __init__(
        self,
        node_name: str,
        *,
        client: Client,
        clock: Clock,
        rng: random.Random,
        run_blocking: RunBlocking,
        ask_driver: Callable[[], Answer],
        not_injected: Callable[[], str],
        workload: Workload | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._node_name = node_name
        self._client = client
        self._clock = clock
        self._rng = rng
        self._run_blocking = run_blocking
        self._ask_driver = ask_driver
        self._not_injected = not_injected
        self._trial = Trial(node_name, client, workload) if workload is not None else None
        self._patience = patience
        self._recorder = Recorder(client, FIELD_MANAGER, instance=node_name)
        self._figures = Figures(node_name)
        self._report: Report | None = None
        self._node: Node | None = None
        """As it was when it was last looked at."""

    def waits_for(self) -> str:
        """Why the node is not validated; empty: it is."""
        if self._report is None:
            return "the first checks are under way"
        return self._report.message if self._report.failure is not None else ""

    async def text(self) -> str:
        """For Prometheus."""
        return render(self._figures.families())

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            group.create_task(self._check_for_ever())

    async def _check_for_ever(self) -> None:
        unreachable = Backoff(self._rng)
        failures = Backoff(self._rng, first_delay_s=_FIRST_RETRY_S, max_delay_s=LOOK_S)
        begun, trial, said = False, self._trial, ""
        while True:
            try:
                if not begun:
                    owner = await self._tell("Unknown", CHECKING, "the checks are under way")
                    begun = True
                report = await self._checked(trial, owner)
                owner = await self._told(report)
            except errors.ApiError as error:
                if error.message != said:
                    said = error.message
                    _log.warning("node not validated", node=self._node_name, error=said)
                await asyncio.sleep(unreachable.delay_s())
                continue
            said = ""
            unreachable.reset()
            if report.failure is not None:
                trial = self._trial
                await asyncio.sleep(failures.delay_s())
            else:
                trial = None
                failures.reset()
                await asyncio.sleep(LOOK_S * (0.9 + self._rng.random() / 10))

    # --- the checks ---

    async def _checked(self, trial: Trial | None, owner: OwnerReference) -> Report:
        outcomes = [*await self._until(self._driver_and_toolkit, self._patience.driver_s)]
        if Report(outcomes).failure is None:
            outcomes += await self._until(self._plugin, self._patience.plugin_s)
        if Report(outcomes).failure is None and trial is not None:
            outcomes.append(await trial.run(self._node or await self._looked_at(), owner))
        return Report(outcomes)

    async def _driver_and_toolkit(self) -> tuple[Outcome, ...]:
        answer = await self._run_blocking(self._ask_driver)
        return checks.driver_and_toolkit(answer, await self._run_blocking(self._not_injected))

    async def _plugin(self) -> tuple[Outcome, ...]:
        self._figures.devices = devices.advertised((await self._looked_at()).status.allocatable)
        return (checks.plugin(self._figures.devices),)

    async def _until(
        self, look: Callable[[], Awaitable[tuple[Outcome, ...]]], patience_s: float
    ) -> tuple[Outcome, ...]:
        deadline = self._clock.now() + patience_s
        delay_s = _FIRST_LOOK_S
        while True:
            outcomes = await look()
            if Report(outcomes).failure is None or self._clock.now() >= deadline:
                return outcomes
            await asyncio.sleep(delay_s)
            delay_s = min(_PACE_S, 2 * delay_s)

    async def _looked_at(self) -> Node:
        self._node = await self._client.get(NODES, self._node_name, into=Node)
        return self._node

    # --- what is told ---

    async def _told(self, report: Report) -> OwnerReference:
        before, failure = self._report, report.failure
        owner = await self._tell("False" if failure is not None else "True", report.reason, report.message)
        self._figures.take(report, self._clock.now())
        self._report = report
        if before is None or before.reason != report.reason:
            node = self._node or await self._looked_at()
            if failure is None:
                self._recorder.event(NODES, node, Severity.NORMAL, "Validated", report.message)
            else:
                self._recorder.event(NODES, node, Severity.WARNING, report.reason, report.message)
            _log.info("checked", node=self._node_name, outcome=report.reason, message=report.message)
        return owner

    async def _tell(self, status: str, reason: str, message: str) -> OwnerReference:
        """Of the GPUNode, which the operator or the agent makes. Raises ApiError until then."""
        gpu_node = await self._client.get(GPUNODES, self._node_name, into=GPUNode)
        shown = next((one for one in gpu_node.status.conditions if one.type == CHECKS_PASSED), None)
        since = shown.last_transition_time if shown is not None and shown.status == status else None
        wanted = Condition(
            type=CHECKS_PASSED,
            status=status,
            reason=reason,
            message=message,
            last_transition_time=since or rfc3339(self._clock.now()),
        )
        if shown != wanted:
            # The UID keeps it off another object of that name.
            body = {
                "metadata": {"name": self._node_name, "uid": gpu_node.metadata.uid},
                "status": {"conditions": [wanted]},
            }
            await self._client.apply(
                GPUNODES, body, field_manager=FIELD_MANAGER, force=True, subresource="status"
            )
        return OwnerReference(
            api_version=GPUNODES.api_version,
            kind=GPUNODES.kind,
            name=self._node_name,
            uid=gpu_node.metadata.uid,
        )
