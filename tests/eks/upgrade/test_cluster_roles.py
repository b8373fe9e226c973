"""The ClusterRoles that users are shown allow what whole upgrades ask for, and little else."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from aliquot.clock import VirtualTimeLoop
from aliquot.eks.estate.reading import from_aws, with_objects
from aliquot.eks.upgrade import rights
from aliquot.eks.versions import removals
from aliquot.eks.versions.removals import Stage
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.transport import Request, Response
from tests.eks.cluster_roles import PLANNER, PLANNERS, UPGRADER, UPGRADERS, allows, apply, rules
from tests.eks.estate.asked import asked
from tests.eks.upgrade import whole_lives
from tests.eks.upgrade.whole import Whole, whole
from tests.eks.upgrade.whole_lives import live

_COMPONENTS = {row.group for row in removals.shipped().rows if row.stage is Stage.CRD}


@dataclass
class Watched:
    """Passes on, and keeps what was refused for want of a right."""

    inner: AsgiTransport
    refused: list[str] = field(default_factory=list)
    wrote: int = 0

    async def send(self, request: Request) -> Response:
        response = await self.inner.send(request)
        self.wrote += request.method != "GET"
        if response.status == 403:
            self.refused.append(f"{request.method} {request.path}")
        return response

    async def close(self) -> None:
        await self.inner.close()


async def test_the_planner_may_list_what_a_reading_asks_for_and_nothing_else() -> None:
    recorder, held = await asked(), rules(PLANNER)
    wanted = {(one.group, one.plural, where) for one, where in recorder.listed}
    assert {one for one in wanted if not allows(held, "list", *one)} == set()
    assert all(any(rule.urls == (path,) for _, rule in held) for path in recorder.paths if path != "/apis")
    kinds = {one[:2] for one in wanted}
    for _, rule in held:
        assert set(rule.verbs) == ({"get"} if rule.urls else {"list"})
        if rule.resources == ("*",):
            assert set(rule.groups) == _COMPONENTS
            continue
        assert {(group, resource) for group in rule.groups for resource in rule.resources} <= kinds


def test_no_role_reads_secrets() -> None:
    assert not allows(rules(PLANNER, UPGRADER), "list", "", "secrets")
    assert not allows(rules(PLANNER, UPGRADER), "get", "", "secrets")


def test_the_upgrader_may_do_what_steps_do() -> None:
    held = rules(PLANNER, UPGRADER)
    missing = [
        str(one)
        for one in rights.most()
        if not allows(held, one.verb, one.group, one.resource, one.namespace)
    ]
    assert missing == []


def test_what_it_may_change_some_step_does() -> None:
    done = {(one.verb, one.group, one.resource) for one in rights.most()}
    may = {
        (verb, group, resource)
        for _, rule in rules(UPGRADER)
        for verb in rule.verbs
        if verb != "list"
        for group in rule.groups
        for resource in rule.resources
    }
    assert may - done == {("create", "velero.io", "backups")}


@pytest.mark.parametrize(("seed", "pools"), [(1, False), (3, True)], ids=["groups", "pools"])
def test_whole_upgrades_with_these_roles_alone(
    seed: int, pools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Watched] = []

    @asynccontextmanager
    async def as_upgrader(*given: Any, **more: Any) -> AsyncIterator[Whole]:
        async with whole(*given, **more) as world:
            await apply(world.cluster.admin, PLANNER, UPGRADER)
            watched = Watched(AsgiTransport(world.server.app, "ada", ["system:authenticated", UPGRADERS]))
            found.append(watched)
            world.transport = watched
            yield world

    monkeypatch.setattr(whole_lives, "whole", as_upgrader)
    live(seed, pools=pools)
    (watched,) = found
    assert watched.wrote > 10
    # Also what an act takes for "there is none of it" where it may not list.
    assert watched.refused == []


def test_a_plan_with_the_planners_role_alone() -> None:
    async def work() -> None:
        async with whole(1) as world:
            await apply(world.cluster.admin, PLANNER)
            transport = AsgiTransport(world.server.app, "ada", ["system:authenticated", PLANNERS])
            kube = Client(transport, clock=world.clock, rng=random.Random(1))
            estate = await from_aws(world.api, "prod", clock=world.clock)
            read = await with_objects(estate, kube, removals.shipped(), helm=False)
            assert read.unchecked == estate.unchecked

    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(work())
    finally:
        loop.close()
