"""The clusters of an installation: an agent for each, told which grants are to be there, and where holders reach it."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from aliquot.access.api.door import Reachable
from aliquot.access.broker.outage import Outage
from aliquot.access.cluster.agent import Agent, Tell
from aliquot.access.core.life.grant import GrantSpec, spec_of
from aliquot.access.core.life.stages import RUNNING
from aliquot.access.serving.configuration import Cluster
from aliquot.access.serving.policy_files import PolicyFiles
from aliquot.access.store.store import Store
from aliquot.clock import Clock
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

_AGAIN_S = 5.0


@dataclass(frozen=True)
class Connected:
    name: str
    client: Client
    agent: Agent
    reachable: Reachable


@asynccontextmanager
async def connected(
    cluster: Cluster, base: Path, tell: Tell, clock: Clock, rng: random.Random
) -> AsyncIterator[Connected]:
    """Raises KubeconfigError."""
    path = base / cluster.kubeconfig if cluster.kubeconfig else None
    connection = kubeconfig.load(path, cluster.context or None)
    transport = connection.transport()
    try:
        client = Client(transport, clock=clock, rng=rng)
        reachable = Reachable(
            name=cluster.name,
            server=cluster.server or connection.server,
            certificate_authority=connection.ca.decode() if connection.ca else "",
        )
        yield Connected(cluster.name, client, Agent(client, tell=tell), reachable)
    finally:
        await transport.close()


async def look_after(one: Connected, store: Store, policies: PolicyFiles, outage: Outage) -> None:
    """Until cancelled. While it is not known which grants there are, nothing is put right and nothing is taken away; but for what was
    ended while the database was gone."""

    async def live() -> Sequence[GrantSpec]:
        if outage.is_pulled:
            return []
        templates = policies.last.templates
        found = await store.read(lambda tx: tx.in_cluster(one.name))
        return [
            spec_of(life, templates[life.request.template])
            for life in found
            if life.stage in RUNNING
            and not outage.has_ended(life.id)
            and life.end_s is not None
            and life.request.template in templates
        ]

    while True:
        try:
            await one.agent.run(live, outage.why_not)
        except* Unreachable as group:
            _log.warning("cluster not looked at", cluster=one.name, error=str(group.exceptions[0]))
        except* Exception as group:
            # Its API server may be in somebody else's hands: what it says is not to take the others along.
            _log.error("cluster not looked at", cluster=one.name, error=repr(group.exceptions[0]))
        await asyncio.sleep(_AGAIN_S)
