"""Grants in the clusters, by what is known without the database: whose one is, and how one ends, or all of them."""

import asyncio
from collections.abc import Iterable, Mapping

from aliquot.access.broker.around import ClusterAgent
from aliquot.access.broker.broker import NotThere, Unavailable
from aliquot.access.broker.guarding import NEVER_AGAIN
from aliquot.access.broker.last_known import LastKnown
from aliquot.access.cluster.making import NotRemoved
from aliquot.access.core.outage import KnownGrant
from aliquot.access.journal.records import Means
from aliquot.kube.errors import ApiError

_AT_ONCE = 16


class InClusters:
    """`agents`: by cluster."""

    def __init__(self, agents: Mapping[str, ClusterAgent], known: LastKnown) -> None:
        self._agents = agents
        self._known = known

    async def whose(self, grant: str) -> tuple[KnownGrant, Means]:
        """Raises NotThere and Unavailable."""
        if (known := self._known.of(grant)) is not None:
            return known, Means.MEMORY
        silent = []
        for name, agent in self._agents.items():
            try:
                there = await agent.there(name)
            except (ApiError, TimeoutError, OSError) as error:
                silent.append(f"cluster {name} does not answer ({error})")
                continue
            for one in there:
                if one.id == grant:
                    return one, Means.CLUSTER
        if silent:
            raise Unavailable(f"{'; '.join(silent)}: it is not known whose that grant is")
        raise NotThere(grant)

    async def end_all(self) -> list[str]:
        """What is still there, or may be: one line for each."""
        found = await asyncio.gather(*(self._all_of(name, agent) for name, agent in self._agents.items()))
        return [problem for problems in found for problem in problems]

    async def end(self, cluster: str, grants: Iterable[tuple[str, str]]) -> list[str]:
        """`grants`: ids and namespaces. What is still there, or may be: one line for each."""
        agent = self._agents.get(cluster)
        if agent is None:
            return [f"nobody looks after cluster {cluster}: name it in the configuration"]
        turns = asyncio.Semaphore(_AT_ONCE)

        async def remove(grant: str, namespace: str) -> str:
            async with turns:
                try:
                    await agent.remove(grant, namespace, NEVER_AGAIN)
                except NotRemoved as error:
                    return str(error)
                except (ApiError, TimeoutError, OSError) as error:
                    return f"cluster {cluster}: {error}"
            return ""

        done = await asyncio.gather(*(remove(grant, namespace) for grant, namespace in grants))
        return [problem for problem in done if problem]

    async def _all_of(self, cluster: str, agent: ClusterAgent) -> list[str]:
        known = {one.id: one.namespace for one in self._known.in_cluster(cluster)}
        problems = []
        try:
            known |= {one.id: one.namespace for one in await agent.there(cluster)}
        except (ApiError, TimeoutError, OSError) as error:
            problems.append(f"cluster {cluster} does not answer ({error})")
        return [*problems, *await self.end(cluster, known.items())]
