"""Many grants that come, are used and end, on virtual time, with holders who try each credential until it is refused for good.

    python -m tests.access.cluster.lives --grants 10000

"Everything of ours dead": at a moment all that is ours stops where it stands, in the midst of what it does. The API server and its
controllers run on. No credential may let anybody in after its grant's end by more than is published, and what a grant was made
of has to go.
"""

import argparse
import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from aliquot.access.cluster import credentials, grants, making
from aliquot.access.cluster.credentials import Credential, NotMinted
from aliquot.access.cluster.making import NotMade
from aliquot.access.cluster.naming import KINDS, PREFIX, Ours
from aliquot.access.cluster.skew import ClocksDiffer
from aliquot.access.core import times
from aliquot.access.core.life.grant import GrantSpec
from aliquot.clock import VirtualTimeLoop
from aliquot.kube import roles
from aliquot.kube.cache import settle_gc
from aliquot.kube.errors import ApiError
from tests.access.cluster.world import DRAIN, NODES, RESTART, START_S, World, spec, world

AT_ONCE = 200
SPAN_S = 2 * 3600
"""In which grants begin."""
GONE_WITHIN_S = grants.START_WITHIN_S + times.MOST_SKEW_S + 10
"""After a grant's end, its objects: a timer may begin that late, and its controllers need a moment."""
_SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"role": "", "rules": (RESTART,)},
    {"namespace": "", "role": NODES.name, "rules": NODES.rules},
    {"namespace": "", "role": "", "rules": (DRAIN,)},
)
_PATHS = (
    "/api/v1/namespaces/shop/pods",
    "/apis/apps/v1/namespaces/shop/deployments/web",
    "/api/v1/nodes",
    "/api/v1/nodes/n1",
)
"""What each of these shapes allows."""
ALLOWED = (200, 404)


@dataclass
class Use:
    """A credential in its holder's hands."""

    credential: Credential
    path: str
    last_s: float = 0.0
    """When it last let somebody in."""


@dataclass
class Life:
    spec: GrantSpec
    path: str
    begin_s: float
    uses: list[Use] = field(default_factory=list)
    made: bool = False
    revoked_s: float | None = None
    """When that had been answered."""


def draw(rng: random.Random, count: int) -> list[Life]:
    lives = []
    for number in range(count):
        shape = rng.randrange(len(_SHAPES))
        begin_s = START_S + rng.uniform(1, SPAN_S)
        end_s = begin_s + rng.uniform(times.SHORTEST_GRANT_S, 3600)
        lives.append(
            Life(
                spec(number, end_s=end_s, max_end_s=end_s + rng.choice([0, 3600]), **_SHAPES[shape]),
                _PATHS[shape],
                begin_s,
            )
        )
    return sorted(lives, key=lambda one: one.begin_s)


class Holders:
    """They try at moments of their own, and then at those that matter: just before the server stops taking a token that has run
    out, so that it remembers it as good, and every second after."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng

    async def hold(self, life: Life, use: Use) -> None:
        expires_s = use.credential.expires_s
        moments = [self._world.clock.now() + self._rng.uniform(0, 600) for _ in range(2)]
        if life.revoked_s is None:
            moments += [expires_s, expires_s + times.LEEWAY_S + self._rng.uniform(-9.9, 4)]
            moments += [expires_s + times.LEEWAY_S + late for late in (-0.5, 3, 6, 8.9, 9.4, 10.5, 14, 20)]
            moments += [life.spec.end_s + late for late in (-0.1, 0.1, 1.0, 60.0)]
        for moment in sorted(moments):
            await self._sleep_until(moment)
            await self.try_out(use)

    async def keep_trying(self, use: Use, revoked_s: float) -> None:
        """Now and then, and without cease around the moment at which it is revoked: of what was tried longer ago than the server
        remembers a good token, nothing is left by then."""
        dense_s, until_s = revoked_s - 3 * times.CACHE_S, revoked_s + times.WORST_AFTER_REVOKE_S + 30
        while (now_s := self._world.clock.now()) < until_s:
            await self.try_out(use)
            next_s = now_s + self._rng.uniform(0.2, 4)
            if now_s < dense_s:
                next_s = min(dense_s, now_s + self._rng.uniform(0.2, 60))
            await self._sleep_until(min(until_s, next_s))

    async def try_out(self, use: Use) -> None:
        asked_s = self._world.clock.now()
        status = await self._world.status_with(use.credential.token, use.path)
        # What is allowed may not be there; it is all the same who asked.
        if status in ALLOWED:
            use.last_s = asked_s

    async def _sleep_until(self, moment_s: float) -> None:
        await asyncio.sleep(max(0.0, moment_s - self._world.clock.now()))


async def give(world: World, life: Life) -> None:
    """What the broker does with a grant: tries until it is made."""
    await asyncio.sleep(max(0.0, life.begin_s - world.clock.now()))
    while True:
        try:
            await making.make(world.agent, life.spec)
        except (ApiError, NotMade):
            if world.clock.now() > life.spec.end_s:
                return
            await asyncio.sleep(1)
            continue
        life.made = True
        return


async def mint(world: World, life: Life, rng: random.Random, tasks: asyncio.TaskGroup) -> None:
    """Credentials at arbitrary moments, and at the last at which there may be any; each is held for as long as it can be of use."""
    holders = Holders(world, rng)
    last_s = life.spec.end_s - times.TOKEN_FLOOR_S
    moments = [rng.uniform(world.clock.now(), life.spec.end_s) for _ in range(2)]
    moments += [last_s - rng.uniform(0, 90), last_s - times.MARGIN_S - rng.uniform(0, 2)]
    for moment in sorted(moments):
        await asyncio.sleep(max(0.0, moment - world.clock.now()))
        try:
            given = await credentials.mint(world.agent, life.spec)
        except (NotMinted, ClocksDiffer, ApiError):
            continue
        use = Use(given, life.path)
        life.uses.append(use)
        tasks.create_task(holders.hold(life, use))


async def all_dead(
    world: World, seed: int, count: int, *, storm: bool = False, controllers_too: bool = False
) -> tuple[list[Life], list[str]]:
    """(what was lived, what was wrong): our processes die at a random moment, and time goes on. `controllers_too`: Kubernetes' own
    die with them, and then credentials alone have an end."""
    rng = random.Random(seed)
    lives = draw(rng, count)
    dead_s = START_S + rng.uniform(0.5, 1.0) * SPAN_S
    if storm:
        world.weather.storm()
    async with asyncio.TaskGroup() as holding:

        async def broker(life: Life) -> None:
            await give(world, life)
            if life.made:
                await mint(world, life, rng, holding)

        ours = [asyncio.create_task(broker(life)) for life in lives]
        await asyncio.sleep(dead_s - world.clock.now())
        for one in ours:
            one.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        if controllers_too:
            world.stop_controllers()
        last_s = max(life.spec.end_s for life in lives)
        wrong = [] if controllers_too else await _objects_outlive(world, lives)
        await asyncio.sleep(max(0.0, last_s + GONE_WITHIN_S - world.clock.now()))
    wrong += _used_late(lives)
    return lives, wrong if controllers_too else [*wrong, *await _left(world)]


async def revoked(world: World, seed: int, count: int) -> tuple[list[Life], list[str]]:
    """Likewise, of grants that are revoked at random moments, while their holders do not cease to try."""
    rng = random.Random(seed)
    lives = draw(rng, count)
    holders = Holders(world, rng)

    async def one(life: Life) -> None:
        await give(world, life)
        life.uses.append(Use(await credentials.mint(world.agent, life.spec), life.path))
        began_s = world.clock.now()
        at_s = began_s + rng.uniform(1, 500)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(holders.keep_trying(life.uses[0], at_s))
            await asyncio.sleep(at_s - began_s)
            await making.revoke(world.agent, life.spec.id)
            life.revoked_s = world.clock.now()
        await making.remove(world.agent, life.spec.id, life.spec.namespace)

    async with asyncio.TaskGroup() as group:
        for life in lives:
            group.create_task(one(life))
    wrong = [
        f"{life.spec.id}: used {use.last_s - life.revoked_s:.1f} s after it was revoked"
        for life in lives
        for use in life.uses
        if life.revoked_s is not None and use.last_s > life.revoked_s + times.WORST_AFTER_REVOKE_S
    ]
    return lives, [*wrong, *await _left(world, also=(roles.CLUSTER_ROLE_BINDINGS, roles.CLUSTER_ROLES))]


def _used_late(lives: Sequence[Life]) -> list[str]:
    return [
        f"{life.spec.id}: used {use.last_s - life.spec.end_s:.1f} s after its end"
        for life in lives
        for use in life.uses
        if use.last_s > life.spec.end_s + times.WORST_AFTER_END_S
    ]


async def _objects_outlive(world: World, lives: Sequence[Life]) -> list[str]:
    """What of a grant is still there when it should have gone, looked at each at its time."""
    wrong = []
    for life in sorted(lives, key=lambda one: one.spec.end_s):
        due_s = life.spec.end_s + GONE_WITHIN_S
        if due_s > world.clock.now():
            await asyncio.sleep(due_s - world.clock.now())
        failures: list[str] = []
        for resource, seen in await making.labelled(world.root, life.spec.id, failures):
            if resource not in (roles.CLUSTER_ROLE_BINDINGS, roles.CLUSTER_ROLES):
                wrong.append(f"{resource.kind} {seen.metadata.name} is there {GONE_WITHIN_S} s after its end")
        wrong += failures
    return wrong


async def _left(world: World, also: Sequence[object] = ()) -> list[str]:
    left = []
    for resource in KINDS:
        if resource in (roles.CLUSTER_ROLE_BINDINGS, roles.CLUSTER_ROLES) and resource not in also:
            # Nothing that ends can own them: for nobody any more, they wait for the sentinel.
            continue
        listed = await world.root.list(resource, into=Ours)
        left += [
            f"{resource.kind} {one.metadata.name} is left"
            for one in listed.items
            if one.metadata.name.startswith(PREFIX)
        ]
    return left


KINDS_OF_DEATH = ("all of ours dead", "all dead but the API server", "revoked")


def run(seed: int, count: int, kind: str, *, storm: bool = False) -> tuple[list[Life], list[str]]:
    """(what was lived, what was wrong) of one seed. The server's clock is off by a little."""

    async def within() -> tuple[list[Life], list[str]]:
        async with world(seed=seed, offset_s=random.Random(seed).uniform(-4, 4)) as made:
            if kind == "revoked":
                return await revoked(made, seed, count)
            return await all_dead(
                made, seed, count, storm=storm, controllers_too=kind == "all dead but the API server"
            )

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(within())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--grants", type=int, default=10_000, help="that are made, of each kind of death")
    parser.add_argument("--kind", choices=KINDS_OF_DEATH, action="append", help="all, unless it is given")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    settle_gc()
    for kind in asked.kind or KINDS_OF_DEATH:
        live_through(kind, asked.grants, asked.seed)


def live_through(kind: str, count: int, seed: int) -> None:
    """Worlds one after the other, until so many grants were made in them. Raises SystemExit at the first that is wrong."""
    began_s, made, credentials_held, late_s = time.process_time(), 0, 0, list[float]()
    while made < count:
        lives, wrong = run(seed, min(AT_ONCE, count), kind, storm=seed % 2 == 1)
        if wrong:
            raise SystemExit("\n".join([f"seed {seed}: {kind}:", *wrong]))
        made += sum(life.made for life in lives)
        credentials_held += sum(len(life.uses) for life in lives)
        late_s += _lateness(lives)
        seed += 1
        print(f"{kind}: {made} grants were made, {credentials_held} credentials tried", end="\r", flush=True)
    late_s.sort()
    shares = " ".join(f"p{share} {late_s[len(late_s) * share // 100]:.1f}" for share in (50, 90, 99))
    after, bound_s = (
        ("being revoked", times.WORST_AFTER_REVOKE_S)
        if kind == "revoked"
        else ("the grant's end", times.WORST_AFTER_END_S)
    )
    print(
        f"{kind}: {made} grants were made, {credentials_held} credentials tried; the last that let somebody in, seconds after {after}:"
        f" {shares} worst {late_s[-1]:.1f}, published {bound_s}; {time.process_time() - began_s:.0f} s of CPU",
        flush=True,
    )


def _lateness(lives: Sequence[Life]) -> list[float]:
    """Of each grant that was held: when a credential of it last let somebody in, after its end or its revocation."""
    return [
        max(use.last_s for use in life.uses) - (life.spec.end_s if life.revoked_s is None else life.revoked_s)
        for life in lives
        if any(use.last_s for use in life.uses)
    ]


if __name__ == "__main__":
    main()
