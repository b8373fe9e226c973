"""Pods whose claims get their volumes only once a node is chosen: that is told to the storage, and the bind follows.

As kube-scheduler does it: a volume that is there is given the claim's reference; where one is to be made, the node is noted
on the claim (`volume.kubernetes.io/selected-node`), for the class's provisioner to act on. The Binding is sent once every
claim is bound. What is not bound in time is given back, with the reason.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.storage import BOUND_BY_CONTROLLER, SELECTED_NODE, Claim
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, key, split_key
from aliquot.kube.retry import RetryPolicy
from aliquot.scheduler.claims import is_bound, is_for_one_pod, places, refers
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.volumes import BoundClaim, bound
from aliquot.scheduler.mirror import Mirror
from aliquot.scheduler.reporter import BIND_FAILED, SCHEDULER_ERROR, Notice, Reporter
from aliquot.scheduler.surroundings import Surroundings, claims_of

_log = structlog.get_logger()

NOT_BOUND = "VolumesNotBound"
"""As a pod's condition has it: another node would not help."""
DEADLINE_S = 600.0
"""kube-scheduler's bindTimeoutSeconds: a disk in a cloud takes its time."""
_NOT_TOLD = "its claims could not be told of their volumes"
_WORKERS = 16
_RETRY = RetryPolicy(first_delay_s=1.0, max_delay_s=60.0)


@dataclass(slots=True)
class _Waiting:
    bind: Bind
    chosen: Mapping[str, str]
    """Volume by the claim's key; empty where one is to be made."""
    until: float
    told: set[str] = field(default_factory=set)
    """Claims for which it is written what they are to get."""
    shown: set[str] = field(default_factory=set)
    """Claims that have been seen with the node noted on them."""


class _GoneWrong(Exception):
    """One line, for the pod's owner."""


class Claiming:
    """`bind` is given what is ready. `may_write` as in Binder."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        snapshot: Snapshot,
        pods: Cache[Pod],
        surroundings: Surroundings,
        mirror: Mirror,
        reporter: Reporter,
        bind: Callable[[Bind], None],
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._snapshot = snapshot
        self._pods = pods
        self._around = surroundings
        self._mirror = mirror
        self._reporter = reporter
        self._bind = bind
        self._may_write = may_write
        self._waiting: dict[str, _Waiting] = {}
        self._failures: dict[str, int] = {}
        self._controller = Controller("claiming", self._carry_out, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled. May be run again: what was under way is then decided anew, and goes on from what is noted on the
        claims."""
        unsubscribe = self._controller.watch(self._around.claims, self._waiting_for)
        try:
            await self._controller.run()
        finally:
            unsubscribe()
            for waiting in list(self._waiting.values()):
                self._drop(waiting.bind.pod.key)
                self._mirror.give_back(waiting.bind.pod)

    def submit(self, bind: Bind) -> None:
        """Bind the pod, or have its claims bound first."""
        shape = bind.pod.shape
        if not (shape.bound_claims or shape.open_claims):
            self._bind(bind)
            return
        chosen = self._reserve(bind)
        if chosen is None:
            self._drop(bind.pod.key)
            self._mirror.give_back(bind.pod)
        elif not chosen:
            self._bind(bind)
        else:
            self._waiting[bind.pod.key] = _Waiting(bind, chosen, self._clock.now() + DEADLINE_S)
            self._controller.enqueue(bind.pod.key)

    def forget(self, name: str) -> None:
        """The pod is on its node, or gone."""
        self._drop(name)
        self._failures.pop(name, None)

    def _drop(self, name: str) -> None:
        """Nothing is kept for the pod any more."""
        waiting = self._waiting.pop(name, None)
        for claim in waiting.chosen if waiting is not None else ():
            self._release(claim)
        self._around.leave(name)

    def _release(self, claim: str) -> None:
        for volume in [volume for volume, owner in self._around.reserved.items() if owner == claim]:
            del self._around.reserved[volume]

    def _reserve(self, bind: Bind) -> Mapping[str, str] | None:
        """The volumes for its open claims; None where those decided on a moment ago have left none."""
        pod, node = self._pods.get(bind.pod.key), self._snapshot.nodes.get(bind.placed.node)
        if pod is None or node is None:
            return None
        if not all(self._around.take_alone(claim, bind.pod.key) for claim in self._had_alone_by(pod)):
            return None
        namespace = pod.metadata.namespace
        own = {f"{namespace}/{one.claim}" for one in bind.pod.shape.open_claims}
        taken = [volume for volume, claim in self._around.reserved.items() if claim not in own]
        found = bound(bind.pod.shape.open_claims, node.name, node.facts.labels, taken)
        if isinstance(found, str):
            return None
        chosen = {f"{namespace}/{claim}": volume for claim, volume in found.items()}
        self._around.reserved.update({volume: claim for claim, volume in chosen.items() if volume})
        return chosen

    def _had_alone_by(self, pod: Pod) -> Iterator[str]:
        for name in claims_of(pod):
            claim = self._around.claims.get(name)
            if claim is not None and is_for_one_pod(claim):
                yield name

    def _waiting_for(self, claim: Claim) -> list[str]:
        name = key(claim)
        return [pod for pod, waiting in self._waiting.items() if name in waiting.chosen]

    async def _carry_out(self, name: str) -> float | None:
        waiting = self._waiting.get(name)
        if waiting is None:
            self._mirror.reconsider(name)
            return None
        if not self._may_write():
            return None
        try:
            missing = [
                claim
                for claim, volume in waiting.chosen.items()
                if not await self._is_bound(waiting, claim, volume)
            ]
        except _GoneWrong as error:
            return self._hold_back(waiting, NOT_BOUND, str(error))
        except (errors.Unavailable, errors.TooManyRequests) as error:
            message = f"{_NOT_TOLD}, which is tried again: {error.message}"
            self._reporter.tell(name, Notice(waiting.bind.pod.uid, BIND_FAILED, message, in_doubt=True))
            raise  # to be called again, after a wait that grows
        except errors.ApiError as error:
            return self._hold_back(waiting, SCHEDULER_ERROR, f"{_NOT_TOLD}: {error.message}")
        if self._waiting.get(name) is not waiting:
            return None
        self._reporter.forget(name)
        if not missing:
            del self._waiting[name]
            for claim in waiting.chosen:
                self._release(claim)
            self._bind(waiting.bind)
            return None
        left_s = waiting.until - self._clock.now()
        if left_s > 0:
            return left_s
        short = " and ".join(claim.partition("/")[2] for claim in missing)
        node = waiting.bind.placed.node
        return self._hold_back(
            waiting, NOT_BOUND, f"PVC {short} was not bound within {DEADLINE_S:.0f} s for node {node}"
        )

    async def _is_bound(self, waiting: _Waiting, name: str, volume: str) -> bool:
        """Tell the storage what the claim is to get, unless it is told. Raises ApiError and _GoneWrong."""
        claim, node = self._around.claims.get(name), waiting.bind.placed.node
        short = name.partition("/")[2]
        if claim is None or claim.metadata.deletion_timestamp is not None:
            raise _GoneWrong(f"PVC {short} is gone")
        if is_bound(claim):
            self._check_reachable(waiting, claim)
            return True
        noted = (claim.metadata.annotations or {}).get(SELECTED_NODE, "")
        if noted == node:
            waiting.shown.add(name)
        elif name in waiting.shown:
            raise _GoneWrong(
                f"no volume for PVC {short} could be made for node {node}: its provisioner gave up"
            )
        if name not in waiting.told and (volume or noted != node):
            await (self._give(claim, volume) if volume else self._note(claim, node))
        waiting.told.add(name)
        return False

    def _check_reachable(self, waiting: _Waiting, claim: Claim) -> None:
        volume = self._around.volumes.get(claim.spec.volume_name)
        node = self._snapshot.nodes.get(waiting.bind.placed.node)
        if volume is None or node is None:
            return
        held = BoundClaim(claim.metadata.name, tuple(places(volume)))
        if not held.reached_from(node.name, node.facts.labels):
            raise _GoneWrong(
                f"PVC {claim.metadata.name} was bound to volume {volume.metadata.name}, "
                f"which node {node.name} cannot reach"
            )

    async def _give(self, claim: Claim, name: str) -> None:
        volume = self._around.volumes.get(name)
        if volume is None:
            raise _GoneWrong(f"volume {name} for PVC {claim.metadata.name} is gone")
        if refers(volume, claim) and volume.spec.claim_ref is not None and volume.spec.claim_ref.uid:
            return
        metadata = {
            "uid": volume.metadata.uid,
            "resourceVersion": volume.metadata.resource_version,
            "annotations": {BOUND_BY_CONTROLLER: "yes"} if volume.spec.claim_ref is None else {},
        }
        reference = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": claim.metadata.namespace,
            "name": claim.metadata.name,
            "uid": claim.metadata.uid,
        }
        body = {"metadata": metadata, "spec": {"claimRef": reference}}
        await self._client.patch(PERSISTENTVOLUMES, name, body, kind=PatchKind.MERGE)

    async def _note(self, claim: Claim, node: str) -> None:
        namespace, name = split_key(key(claim))
        metadata: dict[str, Any] = {"uid": claim.metadata.uid, "annotations": {SELECTED_NODE: node}}
        await self._client.patch(
            PERSISTENTVOLUMECLAIMS, name, {"metadata": metadata}, namespace, kind=PatchKind.MERGE
        )

    def _hold_back(self, waiting: _Waiting, reason: str, message: str) -> float | None:
        """Tell why the pod is not bound. Returns after how many seconds it is decided on anew."""
        pod = waiting.bind.pod
        self._drop(pod.key)
        failures = self._failures[pod.key] = self._failures.get(pod.key, 0) + 1
        _log.warning("claims not bound", pod=pod.key, node=waiting.bind.placed.node, reason=message)
        self._reporter.tell(pod.key, Notice(pod.uid, reason, message))
        self._mirror.hold_back(pod)
        return _RETRY.delay_s(failures, self._rng)
