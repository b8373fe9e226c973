"""Between the broker and an agent: what has been ended while the database was gone is neither made nor given, whatever the database
says, until it has been told."""

from collections.abc import Callable, Sequence

from aliquot.access.broker.around import ClusterAgent, HeldBack
from aliquot.access.cluster.credentials import Credential, NotMinted
from aliquot.access.cluster.making import NotRemoved
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.outage import KnownGrant

NEVER_AGAIN = 1 << 53
"""A fence above all others: what was ended in an outage is not made any more, by whatever is under way."""


class GuardedAgent:
    """`why_not` of a grant: one line; empty where nothing speaks against it."""

    def __init__(self, agent: ClusterAgent, why_not: Callable[[str], str]) -> None:
        self._agent = agent
        self._why_not = why_not

    async def make(self, spec: GrantSpec, fence: int) -> None:
        """Raises HeldBack, and what the agent raises."""
        if why := self._why_not(spec.id):
            raise HeldBack(why)
        await self._agent.make(spec, fence)
        if why := self._why_not(spec.id):
            # Ended while it was being made, by somebody who may not have seen it.
            try:
                await self._agent.remove(spec.id, spec.namespace, NEVER_AGAIN)
            except NotRemoved as error:
                # Whoever ended it goes on removing it.
                raise HeldBack(f"{why}; {error}") from error
            raise HeldBack(why)

    async def remove(self, grant: str, namespace: str, fence: int) -> None:
        await self._agent.remove(grant, namespace, fence)

    async def mint(self, spec: GrantSpec) -> Credential:
        if why := self._why_not(spec.id):
            raise NotMinted(why)
        made = await self._agent.mint(spec)
        if why := self._why_not(spec.id):
            raise NotMinted(why)
        return made

    async def there(self, cluster: str) -> Sequence[KnownGrant]:
        return await self._agent.there(cluster)
