"""HorizontalPodAutoscalers: the shell around `autoscaler_plan`."""

import random

import msgspec

from aliquot.clock import Clock
from aliquot.emulator.controllers import autoscaler_plan, notices
from aliquot.emulator.controllers.autoscaler_plan import Plan
from aliquot.emulator.controllers.kinds import Kinds
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import HorizontalPodAutoscaler, Scale
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder
from aliquot.kube.resources import HORIZONTALPODAUTOSCALERS, Resource

SYNC_S = 15.0


class Autoscalers:
    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        autoscalers: Cache[HorizontalPodAutoscaler],
        kinds: Kinds,
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._autoscalers = autoscalers
        self._kinds = kinds
        self.controller = Controller("autoscalers", self.reconcile, rng=rng)
        self.controller.watch(autoscalers)

    async def run(self) -> None:
        await self.controller.run()

    async def reconcile(self, name: str) -> float | None:
        autoscaler = self._autoscalers.get(name)
        if autoscaler is None or autoscaler.metadata.deletion_timestamp is not None:
            return None
        target, namespace = autoscaler.spec.scale_target_ref, autoscaler.metadata.namespace
        resource = self._kinds.find(target.api_version, target.kind)
        now = self._clock.now()
        if resource is None:
            message = (
                f'no matches for kind "{target.kind}" in group "{target.api_version.rpartition("/")[0]}"'
            )
            await self._carry_out(autoscaler, autoscaler_plan.unreachable(autoscaler, message, now))
            return SYNC_S
        try:
            raw = await self._client.get_raw(resource.path(namespace, target.name, "scale"))
        except errors.ApiError as error:
            await self._carry_out(autoscaler, autoscaler_plan.unreachable(autoscaler, error.message, now))
            return SYNC_S
        scale = msgspec.json.decode(raw, type=Scale)
        wanted = autoscaler_plan.plan(autoscaler, scale.spec.replicas, scale.status.replicas, now)
        await self._carry_out(autoscaler, wanted, resource)
        return SYNC_S

    async def _carry_out(
        self, autoscaler: HorizontalPodAutoscaler, wanted: Plan, resource: Resource | None = None
    ) -> None:
        metadata = autoscaler.metadata
        if wanted.resize is not None and resource is not None:
            patch = {"spec": {"replicas": wanted.resize}}
            name = autoscaler.spec.scale_target_ref.name
            await self._client.patch(resource, name, patch, metadata.namespace, subresource="scale")
        for notice in wanted.notices:
            notices.tell(self._recorder, HORIZONTALPODAUTOSCALERS, autoscaler, notice)
        if not status_differs(wanted.status, autoscaler.status):
            return
        try:
            await self._client.patch(
                HORIZONTALPODAUTOSCALERS,
                metadata.name,
                {"status": wanted.status},
                metadata.namespace,
                subresource="status",
            )
        except errors.NotFound:
            return
