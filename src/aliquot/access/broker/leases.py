"""What one server does for all of them. Whoever has a lease keeps it by asking again in time; when it dies, another gets it."""

from aliquot.access.store.store import Store


class Lease:
    """`owner`: a name that no other process has, nor this one after a restart."""

    def __init__(self, store: Store, name: str, owner: str, *, for_s: float) -> None:
        self._store = store
        self._name = name
        self._owner = owner
        self._for_s = for_s

    async def is_mine(self) -> bool:
        """For so long from now on. Raises Unreachable: then it is nobody's."""
        return await self._store.write(lambda tx: tx.lease(self._name, self._owner, for_s=self._for_s))
