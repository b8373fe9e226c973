"""Nodes as they were last heard of: who may start is decided over all of a policy's nodes, and whoever begins to lead asks first."""

from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import NODES
from aliquot.operator.answers import Answers


class Latest:
    def __init__(self, client: Client, nodes: Cache[Node]) -> None:
        self._client = client
        self._nodes = nodes
        self._answers: Answers[Node] = Answers()

    def get(self, name: str) -> Node | None:
        return self._answers.newest(name, self._nodes.get(name))

    def note(self, node: Node) -> None:
        # One that the cache does not have is none, or not yet one: all are heard of there first.
        self._answers.put(node.metadata.name, node, node)

    async def ask(self, name: str) -> None:
        """The API server. Raises ApiError."""
        try:
            self.note(await self._client.get(NODES, name, into=Node))
        except errors.NotFound:
            self._answers.forget(name)

    async def ask_for_all(self) -> None:
        """Whatever was written before the call is seen from then on, by whomever. Raises ApiError."""
        for node in (await self._client.list(NODES, into=Node)).items:
            self.note(node)
