"""Grants made, moved, taken away, by whoever dies and comes back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aliquot.access.cluster import credentials, making
from aliquot.access.cluster.making import NotMade, NotRemoved
from aliquot.access.cluster.naming import ENDS_AT, KINDS, NAMESPACE, PREFIX, Ours, object_name
from aliquot.access.core import times
from aliquot.access.core.rules import Rule
from aliquot.clock import rfc3339_milli
from aliquot.emulator.faults import Error
from aliquot.emulator.faults import Rule as Fault
from aliquot.kube import roles
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import JOBS
from aliquot.kube.transport import Request, Response, Transport
from tests.access.cluster.world import DRAIN, NODES, POD_LOGS, RESTART, START_S, World, run, spec


async def ours(world: World) -> list[tuple[str, str]]:
    """(kind, namespace) of all objects of grants."""
    found = []
    for resource in KINDS:
        listed = await world.root.list(resource, into=Ours)
        found += [
            (resource.kind, one.metadata.namespace)
            for one in listed.items
            if one.metadata.name.startswith(PREFIX)
        ]
    return sorted(found)


ALL_OF_ONE = [
    ("Job", NAMESPACE),
    ("Job", "shop"),
    ("RoleBinding", "shop"),
    ("Secret", NAMESPACE),
    ("ServiceAccount", NAMESPACE),
]
SHAPES: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "by a template's role": ({}, ALL_OF_ONE),
    "by a role of its own": ({"role": "", "rules": (RESTART,)}, sorted([*ALL_OF_ONE, ("Role", "shop")])),
    "cluster-wide": (
        {"namespace": "", "role": NODES.name, "rules": NODES.rules},
        [
            ("ClusterRoleBinding", ""),
            ("Job", NAMESPACE),
            ("Secret", NAMESPACE),
            ("ServiceAccount", NAMESPACE),
        ],
    ),
    "cluster-wide, by a role of its own": (
        {"namespace": "", "role": "", "rules": (DRAIN,)},
        [
            ("ClusterRole", ""),
            ("ClusterRoleBinding", ""),
            ("Job", NAMESPACE),
            ("Secret", NAMESPACE),
            ("ServiceAccount", NAMESPACE),
        ],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_grant_is_made_and_taken_away_whole(shape: str) -> None:
    fields, objects = SHAPES[shape]

    async def main(world: World) -> None:
        wanted = spec(**fields)
        for _ in range(2):
            await making.make(world.agent, wanted)
            assert await ours(world) == objects
        for _ in range(2):
            await making.remove(world.agent, wanted.id, wanted.namespace)
            assert await ours(world) == []

    run(main)


def test_a_credential_is_good_for_what_was_granted_and_no_more() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        given = await credentials.mint(world.agent, spec())
        assert await world.status_with(given.token) == 200
        assert await world.status_with(given.token, "/api/v1/namespaces/default/pods") == 403
        assert await world.status_with(given.token, "/api/v1/namespaces/shop/secrets") == 403
        await asyncio.sleep(1)
        await making.revoke(world.agent, spec().id)
        await asyncio.sleep(times.WORST_AFTER_REVOKE_S)
        assert await world.status_with(given.token) == 401

    run(main)


class Died(Exception):
    """The process did."""


class Mortal:
    """A transport whose process dies with request number `at`, before or after the server has heard it."""

    def __init__(self, inner: Transport, at: int, *, heard: bool) -> None:
        self._inner = inner
        self._left = at
        self._heard = heard

    async def send(self, request: Request) -> Response:
        self._left -= 1
        if self._left == 0:
            if self._heard:
                await (await self._inner.send(request)).read()
            raise Died
        return await self._inner.send(request)

    async def close(self) -> None:
        await self._inner.close()


async def die_everywhere(
    world: World, act: Callable[[Client], Awaitable[None]], after: Callable[[], Awaitable[None]]
) -> int:
    """`act` by processes that die with their first request, their second, and so on until one lives; `after` each death."""
    deaths = 0
    for heard in (False, True):
        for at in range(1, 100):
            mortal = Mortal(world.agent_transport(), at, heard=heard)
            try:
                await act(Client(mortal, clock=world.clock, rng=random.Random(at)))
            except Died:
                deaths += 1
                await after()
            else:
                break
    return deaths


@pytest.mark.parametrize(
    "fields", [{"role": "", "rules": (RESTART,)}, {"namespace": "", "role": "", "rules": (DRAIN,)}]
)
def test_whoever_dies_while_making_is_carried_on_or_cleared_away(fields: dict[str, Any]) -> None:
    async def main(world: World) -> None:
        wanted = spec(**fields)
        whole = len(
            SHAPES["by a role of its own" if wanted.namespace else "cluster-wide, by a role of its own"][1]
        )

        async def make(client: Client) -> None:
            await making.make(client, wanted)

        async def carried_on() -> None:
            await making.make(world.agent, wanted)
            assert len(await ours(world)) == whole
            await cleared()

        async def cleared() -> None:
            await making.remove(world.agent, wanted.id, wanted.namespace)
            assert await ours(world) == []

        for after in (carried_on, cleared):
            assert await die_everywhere(world, make, after) > 20
            await cleared()

    run(main)


def test_whoever_dies_while_removing_is_carried_on() -> None:
    async def main(world: World) -> None:
        wanted = spec()
        await making.make(world.agent, wanted)

        async def remove(client: Client) -> None:
            await making.remove(client, wanted.id, wanted.namespace)

        async def again() -> None:
            await making.remove(world.agent, wanted.id, wanted.namespace)
            assert await ours(world) == []
            await making.make(world.agent, wanted)

        assert await die_everywhere(world, remove, again) > 20

    run(main)


def test_an_end_is_moved_in_place() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        given = await credentials.mint(world.agent, spec())
        later = spec(end_s=START_S + 5000)
        await making.make(world.agent, later)
        for resource, seen in await making.labelled(world.root, later.id, []):
            assert (seen.metadata.annotations or {})[ENDS_AT] == rfc3339_milli(later.end_s), resource
        # The holder did not notice: its token is bound to the same Secret.
        assert await world.status_with(given.token) == 200
        await asyncio.sleep(3600 + 60)
        assert ("RoleBinding", "shop") in await ours(world)
        await asyncio.sleep(5000 - 3600)
        assert await ours(world) == []

    run(main)


def test_what_was_changed_is_made_anew_and_no_other_grant_touched() -> None:
    async def main(world: World) -> None:
        for number in (1, 2):
            await making.make(world.agent, spec(number))
        others = await making.labelled(world.root, spec(2).id, [])
        name = object_name(spec().id)
        patch = {"subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}]}
        await world.root.patch(roles.ROLE_BINDINGS, name, patch, "shop")
        await world.root.patch(JOBS, name, {"spec": {"suspend": True}}, "shop")
        await making.make(world.agent, spec())
        found = await world.root.get(roles.ROLE_BINDINGS, name, "shop")
        assert found["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]
        assert not (await world.root.get(JOBS, name, "shop"))["spec"].get("suspend")
        assert [one.metadata.uid for _, one in await making.labelled(world.root, spec(2).id, [])] == [
            one.metadata.uid for _, one in others
        ]
        await making.remove(world.agent, spec().id, "shop")
        assert await ours(world) == ALL_OF_ONE

    run(main, guarded=False)


def test_no_grant_without_what_ends_it() -> None:
    async def main(world: World) -> None:
        world.stop_controllers()
        await asyncio.sleep(1)
        with pytest.raises(NotMade, match="does not count down 15 s after it was made"):
            await making.make(world.agent, spec())
        assert {kind for kind, _ in await ours(world)} == {"Job"}
        await making.remove(world.agent, spec().id, "shop")
        assert await ours(world) == []

    run(main)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"end_s": START_S}, "has ended"),
        ({"namespace": NAMESPACE}, "nobody gets access"),
        ({"role": "aliquot-bg:none"}, "is not there: apply"),
        ({"rules": POD_LOGS.rules[:1]}, "does not allow what was approved, or more"),
        (
            {"rules": (*POD_LOGS.rules, Rule(("",), ("secrets",), ("get",)))},
            "does not allow what was approved",
        ),
    ],
)
def test_what_is_not_made_leaves_nothing(fields: dict[str, Any], told: str) -> None:
    async def main(world: World) -> None:
        with pytest.raises(NotMade, match=told):
            await making.make(world.agent, spec(**fields))
        assert await ours(world) == []

    run(main)


def test_a_role_that_the_agent_does_not_hold_is_not_made() -> None:
    async def main(world: World) -> None:
        with pytest.raises(ApiError, match="not currently held"):
            await making.make(
                world.agent, spec(role="", rules=(Rule(("",), ("secrets",), ("get",), ("db",)),))
            )
        await making.remove(world.agent, spec().id, "shop")
        assert await ours(world) == []

    run(main)


def test_what_cannot_be_deleted_keeps_nothing_else_from_going() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        world.weather.app.set_rules(
            Fault(verbs=("delete",), resources=("serviceaccounts",), error=Error(status=403))
        )
        with pytest.raises(NotRemoved, match=f"ServiceAccount {PREFIX}.* cannot be deleted"):
            await making.remove(world.agent, spec().id, "shop")
        # Owned by a Job that is gone, it went all the same.
        await asyncio.sleep(5)
        assert await ours(world) == []
        world.weather.calm()
        await making.remove(world.agent, spec().id, "shop")

    run(main)


def test_what_says_that_it_is_of_the_grant_goes_wherever_it_is() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        await making.remove(world.agent, spec().id, "elsewhere")
        assert await ours(world) == []

    run(main)


def test_a_deleted_timer_takes_what_it_owns() -> None:
    async def main(world: World) -> None:
        for namespace, kinds in (("shop", {"RoleBinding"}), (NAMESPACE, {"Secret", "ServiceAccount"})):
            await making.make(world.agent, spec())
            before = {kind for kind, _ in await ours(world)}
            seen = next(
                one
                for resource, one in await making.labelled(world.root, spec().id, [])
                if resource == JOBS and one.metadata.namespace == namespace
            )
            await making.delete(world.root, JOBS, seen)
            await asyncio.sleep(5)
            assert before - {kind for kind, _ in await ours(world)} == kinds

    run(main)
