"""Nodes as they were last heard of: from the cache, or in answer to a call of ours, which the cache may not show yet.

Who may start is decided over all of a policy's nodes. Over a copy that trails, a node that was let start a moment ago would
be seen to wait, and another would start in its place.
"""

from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES


class Latest:
    def __init__(self, client: Client, nodes: Cache[Node]) -> None:
        self._client = client
        self._nodes = nodes
        self._noted: dict[str, Node] = {}

    def get(self, name: str) -> Node | None:
        cached, noted = self._nodes.get(name), self._noted.get(name)
        if noted is None:
            return cached
        if cached is None or noted.metadata.uid != cached.metadata.uid or _number(cached) >= _number(noted):
            del self._noted[name]
            return cached
        return noted

    def note(self, node: Node) -> None:
        before = self._noted.get(node.metadata.name)
        if before is None or _number(node) >= _number(before):
            self._noted[node.metadata.name] = node

    async def ask(self, name: str) -> Node | None:
        """The API server. Raises ApiError."""
        try:
            node = await self._client.get(NODES, name, into=Node)
        except errors.NotFound:
            self._noted.pop(name, None)
            return None
        self.note(node)
        return node

    async def ask_for_all(self) -> None:
        """Whatever was written before the call is seen from then on, by whomever. Raises ApiError."""
        for node in (await self._client.list(NODES, into=Node)).items:
            self.note(node)


def _number(node: Node) -> int:
    """Revisions of one kind may be compared as numbers: KEP-5504 made that a promise."""
    version = node.metadata.resource_version
    return int(version) if version.isdecimal() else 0
