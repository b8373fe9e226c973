"""StatefulSets: the shell around `stateful_set_plan`, `revision_history` and `stateful_claims`."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.controllers import ownership, revision_history, stateful_set_plan
from aliquot.emulator.controllers.owned_pods import OwnedPods, Wording
from aliquot.emulator.controllers.revision_history import RevisionHistory
from aliquot.emulator.controllers.stateful_claims import StatefulClaims
from aliquot.emulator.controllers.stateful_set_plan import Birth, Plan, Revisions
from aliquot.emulator.controllers.status import status_differs
from aliquot.emulator.controllers.types import ControllerRevision, StatefulSet
from aliquot.kube.api.core import Pod
from aliquot.kube.api.storage import Claim
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.resources import PODS, STATEFULSETS

_WORDING = Wording(
    created="create Pod {pod} in StatefulSet {owner} successful",
    deleted="delete Pod {pod} in StatefulSet {owner} successful",
    not_created="create Pod {pod} in StatefulSet {owner} failed error: {error}",
    not_deleted="delete Pod {pod} in StatefulSet {owner} failed error: {error}",
)
_STALE_CLAIM_AGAIN_S = 5.0


class StatefulSets:
    """`pod_cache` has `pods.INDEXES`, `revisions` has `ownership.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        stateful_sets: Cache[StatefulSet],
        revisions: Cache[ControllerRevision],
        pod_cache: Cache[Pod],
        claims: Cache[Claim],
    ) -> None:
        self._client = client
        self._clock = clock
        self._history: RevisionHistory[StatefulSet] = RevisionHistory(client, STATEFULSETS, revisions)
        self._claims = StatefulClaims(client, claims)
        self._owned = OwnedPods(
            client,
            rng,
            recorder,
            STATEFULSETS,
            stateful_sets,
            pod_cache,
            self._reconcile,
            wording=_WORDING,
        )

    async def run(self) -> None:
        await self._owned.run()

    async def _reconcile(self, stateful_set: StatefulSet) -> float | None:
        held = await self._owned.claim(
            stateful_set, adopts=lambda pod: stateful_set_plan.ordinal(stateful_set, pod) is not None
        )
        history = await self._history.claim(stateful_set)
        update, collisions = await self._history.of(
            stateful_set, stateful_set.spec.template, history, stateful_set.status.collision_count
        )
        known = {found.metadata.name: found for found in history}
        current = known.get(stateful_set.status.current_revision, update)
        revisions = Revisions(current.metadata.name, update.metadata.name)
        wanted = stateful_set_plan.plan(stateful_set, held, revisions, self._clock.now())
        await self._write_status(stateful_set, {**wanted.status, "collisionCount": collisions})
        waits = [wanted.again_s]
        unseen_s = self._owned.pending_s(stateful_set)
        if unseen_s:
            waits.append(unseen_s)
        else:
            templates = {
                found.metadata.name: revision_history.template_of(found) for found in (current, update)
            }
            waits.append(await self._act(stateful_set, held, wanted, templates))
        live = {revisions.current, revisions.update, *map(stateful_set_plan.revision_of, held)}
        await self._history.truncate(history, live, stateful_set.spec.revision_history_limit)
        return min((wait for wait in waits if wait is not None), default=None)

    async def _act(
        self,
        stateful_set: StatefulSet,
        held: Sequence[Pod],
        wanted: Plan,
        templates: Mapping[str, Mapping[str, Any]],
    ) -> float | None:
        """Answers the seconds to wait for a claim that is in the way."""
        namespace = stateful_set.metadata.namespace
        for pod in wanted.relabel:
            labels = stateful_set_plan.identity(pod.metadata.name)
            await self._client.patch(PODS, pod.metadata.name, {"metadata": {"labels": labels}}, namespace)
        if stateful_set.metadata.deletion_timestamp is None:
            for pod in held:
                await self._claims.retain(stateful_set, pod)
        births = [birth for birth in wanted.create if await self._has_claims(stateful_set, birth)]
        owner = ownership.reference(STATEFULSETS, stateful_set)
        bodies = [
            stateful_set_plan.pod_of(stateful_set, templates[birth.revision], birth, owner)
            for birth in births
        ]
        failure = await self._owned.create(stateful_set, bodies)
        if failure is None:
            failure = await self._owned.delete(stateful_set, wanted.delete)
        if failure is not None:
            raise failure
        return _STALE_CLAIM_AGAIN_S if len(births) < len(wanted.create) else None

    async def _has_claims(self, stateful_set: StatefulSet, birth: Birth) -> bool:
        if not stateful_set.spec.volume_claim_templates:
            return True
        return await self._claims.ensure(stateful_set, birth.ordinal)

    async def _write_status(self, stateful_set: StatefulSet, status: Mapping[str, Any]) -> None:
        if not status_differs(status, stateful_set.status):
            return
        metadata = stateful_set.metadata
        patch = {"metadata": {"resourceVersion": metadata.resource_version}, "status": dict(status)}
        await self._client.patch(STATEFULSETS, metadata.name, patch, metadata.namespace, subresource="status")
