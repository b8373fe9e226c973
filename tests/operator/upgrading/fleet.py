"""Nodes of one policy whose drivers are upgraded, with the upgrades' own loops alone: what else an operator does, is done once, by
hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from aliquot.kube.api.pci_labels import OURS
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder
from aliquot.kube.resources import (
    DAEMONSETS,
    GPUPOLICIES,
    NODES,
    PODDISRUPTIONBUDGETS,
    REPLICASETS,
)
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.board import Board
from aliquot.operator.core.operands import DEPLOY_LABELS, POLICY_LABEL, PRESENT_LABEL, Image, shipped
from aliquot.operator.core.pools import POOL_LABEL
from aliquot.operator.core.rendering.pods import OPERAND_LABEL, REVISION_LABEL
from aliquot.operator.core.upgrade.states import STATE_LABEL
from aliquot.operator.effort import Effort
from aliquot.operator.standing import Standing
from aliquot.operator.upgrading.loop import Upgrades
from aliquot.operator.watched import Watched
from tests.operator.cluster import Cluster, running
from tests.operator.machines import GPU, node, version_of

IMAGES = shipped(Image("example.com", "aliquot", "1.0"))
OLD, NEW, NEWER = "580.105.08", "595.91.07", "595.99.01"
AT_ONCE = {"canary": {"nodes": 0}, "maxParallel": 0, "maxUnavailable": "100%"}
LABELS = {
    OURS: "true",
    PRESENT_LABEL: "true",
    POLICY_LABEL: "p",
    POOL_LABEL: "ubuntu24.04",
    **dict.fromkeys(DEPLOY_LABELS.values(), "true"),
}


class Fleet:
    """Nodes `a`, `b`, ... with two GPUs each and the driver OLD."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.machines = cluster.machines
        self.upgrades: Upgrades | None = None
        """Those that run."""
        self._labels = Controller("labels", self._let_back, rng=cluster.rng("labels"))

    # --- what a user does ---

    async def policy(self, version: str, name: str = "p", **spec: Any) -> None:
        upgrade = spec.pop("upgrade", AT_ONCE)
        body = {
            "metadata": {"name": name},
            "spec": {"driver": {"version": version}, "upgrade": upgrade, **spec},
        }
        await self.cluster.admin.apply(GPUPOLICIES, body, field_manager="user", force=True)
        await self.render()

    async def render(self) -> None:
        """What another loop of the operator does about it."""
        watched = Watched(self.cluster.admin, namespace=NAMESPACE)
        caches = [asyncio.create_task(cache.run()) for cache in watched.own]
        try:
            await watched.synced()
            standing = Standing(watched, IMAGES, NAMESPACE)
            stop = standing.follow()
            for name, stored in standing.stored.items():
                for made in standing.rendered(name).daemon_sets if stored.policy is not None else ():
                    await self.cluster.admin.apply(
                        DAEMONSETS, made, field_manager="aliquot-operator", force=True
                    )
            stop()
        finally:
            for task in caches:
                task.cancel()

    async def lets_back(self) -> None:
        """So does yet another: operands that are not paused any more come back."""
        stop = self._labels.watch(self.cluster.nodes)
        try:
            await self._labels.run()
        finally:
            stop()

    async def _let_back(self, name: str) -> None:
        node = self.cluster.nodes.get(name)
        labels = (node.metadata.labels or {}) if node is not None else {}
        missing = [label for label in DEPLOY_LABELS.values() if label not in labels]
        if POLICY_LABEL in labels and missing:
            await self.cluster.admin.patch(
                NODES, name, {"metadata": {"labels": dict.fromkeys(missing, "true")}}
            )

    async def label(self, name: str, **labels: str | None) -> None:
        found = {_spelled(key): value for key, value in labels.items()}
        await self.cluster.admin.patch(NODES, name, {"metadata": {"labels": found}})

    async def annotate(self, name: str, key: str, value: str | None) -> None:
        await self.cluster.admin.patch(NODES, name, {"metadata": {"annotations": {key: value}}})

    async def cordon(self, name: str, *, on: bool = True) -> None:
        await self.cluster.admin.patch(NODES, name, {"spec": {"unschedulable": on or None}})

    async def replicas(
        self,
        name: str,
        count: int,
        *,
        gpus: int = 1,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> None:
        """Pods with GPUs that come back."""
        limits = {GPU: str(gpus)} if gpus else {}
        pod = {
            "containers": [{"name": "main", "image": "job", "resources": {"limits": limits}}],
            **spec,
        }
        metadata = {"labels": {"app": name, **(labels or {})}, "annotations": {**(annotations or {})}}
        body = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": count,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": metadata, "spec": pod},
            },
        }
        await self.cluster.admin.apply(REPLICASETS, body, field_manager="user", force=True)

    async def budget(self, name: str, **spec: Any) -> None:
        body = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
        }
        await self.cluster.admin.apply(PODDISRUPTIONBUDGETS, body, field_manager="user", force=True)

    # --- what is so ---

    def states(self) -> dict[str, str]:
        return {
            one.metadata.name: (one.metadata.labels or {}).get(STATE_LABEL, "")
            for one in sorted(self.cluster.nodes.values(), key=lambda one: one.metadata.name)
        }

    def are(self, state: str, names: Iterable[str] | None = None) -> bool:
        found = self.states()
        return all(found[name] == state for name in (names or found))

    def cordoned(self) -> list[str]:
        return sorted(one.metadata.name for one in self.cluster.nodes.values() if one.spec.unschedulable)

    def drivers(self) -> dict[str, str]:
        """Version by node, of pods that are there to stay."""
        return {
            pod.spec.node_name: version_of(pod)
            for pod in self.cluster.pods.values()
            if (pod.metadata.labels or {}).get(OPERAND_LABEL) == "driver"
            and REVISION_LABEL in (pod.metadata.labels or {})
            and pod.metadata.deletion_timestamp is None
        }

    def where(self, name: str) -> list[str]:
        """Nodes of the pods of that app that run."""
        return sorted(
            pod.spec.node_name
            for pod in self.cluster.pods.values()
            if (pod.metadata.labels or {}).get("app") == name
            and pod.status.phase == "Running"
            and pod.metadata.deletion_timestamp is None
        )

    def paused(self) -> list[str]:
        return sorted(
            one.metadata.name
            for one in self.cluster.nodes.values()
            if "paused-for-driver-upgrade" in (one.metadata.labels or {}).values()
        )

    async def until(self, check: Callable[[], Any], *, within_s: float = 3600.0) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not check():
            assert loop.time() < end, (
                f"not within {within_s:g} s: {self.states()}, cordoned {self.cordoned()}"
            )
            await asyncio.sleep(1.0)

    # --- the upgrades ---

    @contextlib.asynccontextmanager
    async def upgrading(self, client: Client | None = None) -> AsyncIterator[None]:
        """A process that drives them, with a cache of its own."""
        task = asyncio.create_task(self.run(client or self.cluster.operator()))
        try:
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def run(
        self,
        client: Client,
        may_write: Callable[[], bool] = lambda: True,
        leads: asyncio.Event | None = None,
    ) -> None:
        """Follows from now on, and begins once it leads."""
        watched = Watched(client, namespace=NAMESPACE)
        recorder = Recorder(client, "aliquot-operator")
        standing = Standing(watched, IMAGES, NAMESPACE)
        self.board = Board()
        upgrades = Upgrades(
            client,
            clock=self.cluster.clock,
            rng=self.cluster.rng("operator"),
            watched=watched,
            standing=standing,
            board=self.board,
            effort=Effort(),
            recorder=recorder,
            namespace=NAMESPACE,
            may_write=may_write,
        )
        self.upgrades = upgrades
        async with asyncio.TaskGroup() as tasks:
            for cache in watched.own:
                tasks.create_task(cache.run())
            tasks.create_task(recorder.run())
            await watched.synced()
            stop = standing.follow()
            try:
                if leads is not None:
                    await leads.wait()
                await upgrades.run()
            finally:
                stop()


@contextlib.asynccontextmanager
async def fleet(names: str = "a b c", *, seed: int = 0, **policy: Any) -> AsyncIterator[Fleet]:
    """With the driver OLD on all nodes, everything ready."""
    async with running(seed) as cluster:
        found = Fleet(cluster)
        for name in names.split():
            await cluster.add_node(node(name, LABELS))
        await found.policy(OLD, **policy)
        await found.until(lambda: found.drivers() == dict.fromkeys(names.split(), OLD))
        await asyncio.sleep(60)
        labels = asyncio.create_task(found.lets_back())
        try:
            yield found
        finally:
            labels.cancel()


def _spelled(key: str) -> str:
    names: dict[str, str] = {
        "skip": "nvidia.com/gpu-driver-upgrade.skip",
        "driver": DEPLOY_LABELS_BY_NAME["driver"],
        "exporter": DEPLOY_LABELS_BY_NAME["exporter"],
        "policy": POLICY_LABEL,
        "state": STATE_LABEL,
        "discovered": OURS,
    }
    return names[key]


DEPLOY_LABELS_BY_NAME = {str(name): label for name, label in DEPLOY_LABELS.items()}
