"""What this server cannot do now, and why, for probes and people."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.broker.outage import Outage
from aliquot.access.serving.clusters import Connected
from aliquot.access.serving.policy_files import PolicyFiles
from aliquot.access.store.store import Store
from aliquot.kube.errors import ApiError
from aliquot.sql.failures import Unreachable

_LOOK_EVERY_S = 10.0
_ANSWER_WITHIN_S = 5.0


class Readiness:
    def __init__(
        self,
        store: Store,
        policies: PolicyFiles,
        checkpointing: Checkpointing,
        clusters: Sequence[Connected],
        outage: Outage,
    ) -> None:
        self._store = store
        self._policies = policies
        self._checkpointing = checkpointing
        self._outage = outage
        self._clusters = {f"cluster {one.name}": one for one in clusters}
        self._found = dict.fromkeys(("database", *self._clusters), "not looked at yet")

    def reasons(self) -> Mapping[str, str]:
        """By what has to be there, why it is not; empty: it is."""
        return {
            **self._found,
            "policy": self._policies.problem,
            "log": self._checkpointing.problem,
            "journal": self._outage.problem,
        }

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Once at everything that has to be asked."""
        await asyncio.gather(
            self._try("database", self._write),
            *(self._try(name, one.client.server_time_s) for name, one in self._clusters.items()),
        )

    async def _write(self) -> None:
        # What is only read may be full.
        await self._store.write(lambda tx: None)

    async def _try(self, name: str, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await ask()
        except TimeoutError:
            self._found[name] = f"no answer within {_ANSWER_WITHIN_S:g} s"
        except ApiError as error:
            self._found[name] = error.message
        except Unreachable as error:
            self._found[name] = str(error)
        else:
            self._found[name] = ""
