"""GPUPolicy.status: at most one write in a second for each policy, however many of its nodes change."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from aliquot.clock import Clock
from aliquot.kube.api.gpupolicy import GPUPolicyStatus
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import GPUPOLICIES
from aliquot.operator.board import Board
from aliquot.operator.core.conditions import timed
from aliquot.operator.core.operands import OperandName
from aliquot.operator.core.policies import Policy, Stored
from aliquot.operator.core.progress import Status, Told
from aliquot.operator.core.summary import Summary, refused, summary
from aliquot.operator.effort import Effort
from aliquot.operator.standing import Standing
from aliquot.operator.watched import Json, Watched

FIELD_MANAGER = "aliquot-operator"
MONITORED = "Monitored"
_PAUSE_S = 1.0


class StatusLoop:
    """`may_write` is asked right before each write: leadership, where there is an election."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        watched: Watched,
        standing: Standing,
        board: Board,
        effort: Effort,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._watched = watched
        self._standing = standing
        self._board = board
        self._effort = effort
        self._may_write = may_write
        self._controller = Controller("operator status", self._reconcile, rng=rng)

    async def run(self) -> None:
        """Until cancelled. The caches have synced, and the standing follows them. May be run again."""
        stops = (
            self._standing.subscribe(node=lambda _name: None, policy=self._soon),
            self._board.subscribe(self._soon),
            # What somebody else writes into a status is put right.
            self._watched.policies.subscribe(self._policy_changed),
            self._watched.service_monitors.subscribe_served(self._all),
        )
        try:
            await self._controller.run()
        finally:
            for stop in stops:
                stop()

    def _policy_changed(self, _old: Json | None, new: Json | None) -> None:
        if new is not None:
            self._soon(new["metadata"]["name"])

    def _soon(self, name: str) -> None:
        self._controller.enqueue_after(name, _PAUSE_S)

    def _all(self) -> None:
        for name in self._standing.stored:
            self._soon(name)

    async def _reconcile(self, name: str) -> float | None:
        self._effort.looked("status")
        stored, live = self._standing.stored.get(name), self._watched.policies.get(name)
        if stored is None or live is None or not self._may_write():
            return None
        before: Json = live.get("status") or {}
        wanted = self._status(stored, before)
        if wanted is None or _same(wanted, before):
            return None
        body = {"metadata": {"name": name, "uid": stored.uid}, "status": wanted}
        self._effort.wrote("status")
        await self._client.apply(
            GPUPOLICIES, body, field_manager=FIELD_MANAGER, force=True, subresource="status"
        )
        return None

    def _status(self, stored: Stored, before: Json) -> Json | None:
        """None: not all of its nodes have been looked at yet."""
        told: Mapping[str, Told]
        counts: Json
        if stored.policy is None:
            counts = {name: before[name] for name in ("nodes", "operands") if name in before}
            told = refused(stored.problem)
        else:
            found = self._summary(stored.policy)
            if found is None:
                return None
            counts, told = _counts(found), {**found.conditions, **self._monitored(stored.policy)}
            if problem := self._board.refused(stored.name):
                told = refused(problem)
        conditions = timed(told, _conditions(before), self._clock.now())
        for one in conditions:
            one.observed_generation = stored.generation
        return {
            "observedGeneration": stored.generation,
            **counts,
            "conditions": msgspec.to_builtins(conditions),
        }

    def _summary(self, policy: Policy) -> Summary | None:
        nodes = [self._board.nodes.get(name) for name in self._standing.nodes_of(policy.name)]
        known = [node for node in nodes if node is not None]
        if len(known) < len(nodes):
            return None
        return summary(
            policy,
            known,
            held_back=self._board.held_back(policy.name),
            overlaps=self._standing.overlaps_of(policy.name),
        )

    def _monitored(self, policy: Policy) -> Mapping[str, Told]:
        if not (policy.operands[OperandName.EXPORTER].wanted and policy.spec.exporter.service_monitor):
            return {}
        if self._watched.service_monitors.is_served:
            return {MONITORED: Told(Status.TRUE, "ServiceMonitor")}
        why = "the cluster has no servicemonitors.monitoring.coreos.com: install Prometheus' operator, or leave serviceMonitor out"
        return {MONITORED: Told(Status.FALSE, "NoServiceMonitors", why)}


def _counts(found: Summary) -> Json:
    """With zeros, for the columns of kubectl."""
    return {
        "nodes": {
            "total": found.total,
            "ready": found.ready,
            "progressing": found.progressing,
            "failed": found.failed,
            "upgrading": found.upgrading,
        },
        "operands": [
            {
                "name": str(one.name),
                "image": one.image,
                "nodes": one.nodes,
                "ready": one.ready,
                "updated": one.updated,
                "failed": one.failed,
            }
            for one in found.operands
        ],
    }


def _conditions(status: Json) -> list[Any]:
    found = _read({"conditions": status.get("conditions") or []})
    return found.conditions if found is not None else []


def _same(wanted: Json, before: Json) -> bool:
    now = _read(before)
    return now is not None and _read(wanted) == now


def _read(status: Json) -> GPUPolicyStatus | None:
    """None: it is of another shape, by a version of another time."""
    try:
        return msgspec.convert(status, GPUPolicyStatus)
    except msgspec.ValidationError:
        return None
