"""Whose each node is and what is rendered, kept up with one change at a time."""

import random
from typing import Any

import msgspec

from aliquot.clock import VirtualClock
from aliquot.kube.api.core import Node
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.operator.core.operands import OperandName
from aliquot.operator.core.policies import Claim
from aliquot.operator.core.pools import Pool
from aliquot.operator.standing import Standing
from aliquot.operator.watched import Watched
from tests.emulator.api import Api, on_virtual_time
from tests.operator.world import IMAGES

NFD = {"feature.node.kubernetes.io/pci-10de.present": "true"}


class Changing:
    """Caches whose content the test says."""

    def __init__(self, api: Api) -> None:
        transport = AsgiTransport(api.server.app, "nobody")
        client = Client(transport, clock=VirtualClock(), rng=random.Random(1))
        self.watched = Watched(client, namespace="here")
        self.standing = Standing(self.watched, IMAGES, "here")
        self.standing.follow()
        self.told: list[str] = []
        self.standing.subscribe(
            node=lambda name: self.told.append(f"node {name}"),
            policy=lambda name: self.told.append(f"policy {name}"),
        )
        self._version = 0

    def node(self, name: str, os_image: str = "Ubuntu 24.04 LTS", **labels: str) -> list[str]:
        self._version += 1
        metadata = {
            "name": name,
            "uid": name,
            "resourceVersion": str(self._version),
            "labels": {**NFD, **labels},
        }
        status = {"nodeInfo": {"osImage": os_image, "kernelVersion": "6.8"}}
        self.watched.nodes._change(name, msgspec.convert({"metadata": metadata, "status": status}, Node))
        return self.heard()

    def no_node(self, name: str) -> list[str]:
        self.watched.nodes._change(name, None)
        return self.heard()

    def policy(
        self, name: str, generation: int = 1, age: int = 0, status: Any = None, **spec: Any
    ) -> list[str]:
        self._version += 1
        metadata = {
            "name": name,
            "uid": name,
            "generation": generation,
            "resourceVersion": str(self._version),
            "creationTimestamp": f"2026-01-01T00:00:{age:02}Z",
        }
        obj = {"metadata": metadata, "spec": spec, "status": status or {}}
        self.watched.policies._change(name, obj)
        return self.heard()

    def no_policy(self, name: str) -> list[str]:
        self.watched.policies._change(name, None)
        return self.heard()

    def heard(self) -> list[str]:
        told, self.told[:] = list(self.told), []
        return told


def changing(test: Any) -> None:
    async def main(api: Api) -> None:
        test(Changing(api))

    on_virtual_time(main)


def test_one_nodes_change_is_told_of_that_node_alone() -> None:
    def test(world: Changing) -> None:
        assert world.node("a") == ["node a"]
        assert world.node("b") == ["node b"]
        assert set(world.policy("p")) == {"node a", "node b", "policy p"}
        rendered = world.standing.rendered("p")
        assert world.node("c") == ["policy p", "node c"]
        assert world.standing.rendered("p") is rendered
        assert world.node("c", team="x") == []
        assert world.policy("p", status={"nodes": {"total": 3}}) == []
        assert set(world.standing.nodes_of("p")) == {"a", "b", "c"}
        assert world.no_node("b") == ["policy p", "node b"]
        assert world.standing.nodes_of("p") == ("a", "c")

    changing(test)


def test_the_first_of_a_pool_and_the_last() -> None:
    def test(world: Changing) -> None:
        world.policy("p")
        world.node("a")
        world.node("b", os_image="Rocky Linux 9.4")
        assert world.standing.node("b").pool == Pool("rocky9")
        names = [one["metadata"]["name"] for one in world.standing.rendered("p").daemon_sets]
        assert names[:2] == ["aliquot-p-driver-rocky9", "aliquot-p-driver-ubuntu24-04"]
        revision = world.standing.revision("p", OperandName.DRIVER, "b")
        assert revision != world.standing.revision("p", OperandName.DRIVER, "a") != ""
        world.no_node("b")
        assert world.standing.revision("p", OperandName.DRIVER, "b") == ""
        names = [one["metadata"]["name"] for one in world.standing.rendered("p").daemon_sets]
        assert names[:1] == ["aliquot-p-driver-ubuntu24-04"]

    changing(test)


def test_whose_it_is_changes_with_the_policies() -> None:
    def test(world: Changing) -> None:
        world.node("a")
        world.policy("young", age=2)
        assert world.standing.node("a").claim == Claim("young")
        world.policy("old", age=1)
        assert world.standing.node("a").claim == Claim("old", ("young",))
        assert (world.standing.nodes_of("young"), world.standing.overlaps_of("young")) == ((), ("a",))
        told = world.policy("old", 2, age=1, nodeSelector={"matchLabels": {"x": "y"}})
        assert "node a" in told
        assert "policy young" in told
        assert (world.standing.nodes_of("young"), world.standing.overlaps_of("young")) == (("a",), ())
        world.no_policy("young")
        assert world.standing.node("a").claim == Claim("")
        assert world.standing.policy_of("a") is None

    changing(test)


def test_a_changed_spec_is_told_of_each_of_its_nodes() -> None:
    def test(world: Changing) -> None:
        world.policy("p")
        world.node("a")
        before = world.standing.revision("p", OperandName.TOOLKIT, "a")
        assert world.policy("p", 2, toolkit={"version": "v9"}) == ["node a", "policy p"]
        assert world.standing.revision("p", OperandName.TOOLKIT, "a") != before
        assert world.policy("p", 3, driver={"version": "no tag"})[-1] == "policy p"
        assert (world.standing.policy("p"), world.standing.node("a").claim) == (None, Claim("p"))
        assert world.standing.stored["p"].problem.startswith("spec.driver.version: ")

    changing(test)
