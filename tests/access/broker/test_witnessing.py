"""A server asks the witnesses of its log: real ones over HTTP, and servers that are none."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aliquot.access.broker.broker import No
from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.broker.leases import Lease
from aliquot.access.broker.witnessing import Witnessing, holding, quorum_s
from aliquot.access.core.life.events import Activate, Return
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.refusals import Ground
from aliquot.access.log.notes import SigningKey, new_key
from aliquot.access.log.verify import COSIGNATURE, ED25519, parse_note, signers
from aliquot.access.log.witness.record import Record
from aliquot.access.log.witness.server import serving
from aliquot.access.log.witness.settings import WitnessServer, WitnessSettings
from aliquot.access.log.witness.witness import Witness
from aliquot.access.store.standing import Witnessed
from aliquot.clock import SystemClock
from tests.access.broker.test_broker import agreed, begun
from tests.access.broker.world import ASK, PEEK, World, caller, in_a_world
from tests.access.life.scenery import person

LOG = new_key("access.example.com/log", ED25519, bytes(32))
ONE = new_key("witness.example.org/w1", COSIGNATURE, b"1" * 32)
TWO = new_key("witness.example.net/w2", COSIGNATURE, b"2" * 32)
NOWHERE = "http://127.0.0.1:1"


def settings(*servers: tuple[str, SigningKey], **more: Any) -> WitnessSettings:
    return WitnessSettings(
        servers=tuple(WitnessServer(url=url, key=key.public.text) for url, key in servers), **more
    )


class Scene:
    """A world on real time, whose log is signed when it is told to be."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self.world, self._session = world, session

    def witnessing(self, wanted: WitnessSettings) -> Witnessing:
        lease = Lease(self.world.store, "witnesses", "me", for_s=180.0)
        return Witnessing(
            self.world.store,
            self._session,
            wanted,
            lease=lease,
            notices=self.world.notices,
            rng=random.Random(1),
        )

    async def grows(self, name: str = "dev") -> None:
        with pytest.raises(No):
            await self.world.broker.ask(ASK, caller("stranger"))
        await Checkpointing(self.world.store, LOG).sign()

    async def signed_by(self) -> set[str]:
        last = await self.world.store.read(lambda tx: tx.log.last_checkpoint())
        assert last is not None
        return {key.name for key in signers(parse_note(last.note), [LOG.public, ONE.public, TWO.public])}

    async def known(self) -> dict[str, Witnessed]:
        return await self.world.store.read(lambda tx: tx.witnessed())

    async def told(self) -> list[str]:
        return [
            f"{one.details['sort']}: {one.details['about']}"
            for one in await self.world.entries()
            if one.action == "finding.seen"
        ]


def witness(directory: Path, key: SigningKey) -> Witness:
    return Witness(key, {LOG.name: [LOG.public]}, Record(directory), SystemClock())


async def on_real_time(body: Callable[[Scene], Awaitable[None]]) -> None:
    world = World()
    async with world, aiohttp.ClientSession() as session:
        await body(Scene(world, session))


async def test_each_checkpoint_is_signed_by_all_that_answer(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        async with (
            serving(witness(tmp_path / "1", ONE), "127.0.0.1", 0) as first,
            serving(witness(tmp_path / "2", TWO), "127.0.0.1", 0) as second,
        ):
            here = "http://127.0.0.1"
            both = scene.witnessing(settings((f"{here}:{first}", ONE), (f"{here}:{second}", TWO)))
            for _ in range(3):
                await scene.grows()
                await both.ask_all()
                assert await scene.signed_by() == {LOG.name, ONE.name, TWO.name}
            size = len(await scene.world.entries())
            assert {one.size for one in (await scene.known()).values()} == {size}
            # One that has forgotten what it saw of them, or came new.
            await scene.grows()
            await scene.witnessing(settings((f"{here}:{first}", ONE))).ask_all()
            assert await scene.signed_by() == {LOG.name, ONE.name}
            assert await scene.told() == []

    await on_real_time(body)


async def test_one_that_is_silent_holds_up_no_other_and_is_told(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        async with serving(witness(tmp_path, ONE), "127.0.0.1", 0) as port:
            wanted = settings((f"http://127.0.0.1:{port}", ONE), (NOWHERE, TWO))
            asking = scene.witnessing(wanted)
            for turn in range(6):
                assert await scene.told() == ([] if turn < 5 else [f"silent: {TWO.name}"])
                await scene.grows()
                await asking.ask_all()
                assert await scene.signed_by() == {LOG.name, ONE.name}
            known = await scene.known()
            assert known[TWO.name].size == 0
            assert "127.0.0.1" in known[TWO.name].problem
            assert known[ONE.name].problem == ""

    await on_real_time(body)


async def test_one_that_refuses_or_signs_with_another_key_is_told_at_once(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        stranger = Witness(ONE, {}, Record(tmp_path / "s"), SystemClock())
        async with serving(stranger, "127.0.0.1", 0) as port:
            await scene.grows()
            await scene.witnessing(settings((f"http://127.0.0.1:{port}", ONE))).ask_all()
            assert await scene.told() == [f"refuses to sign: {ONE.name}"]
        async with serving(witness(tmp_path / "w", ONE), "127.0.0.1", 0) as port:
            await scene.grows()
            await scene.witnessing(settings((f"http://127.0.0.1:{port}", TWO))).ask_all()
            assert f"refuses to sign: {TWO.name}" in await scene.told()
            assert await scene.signed_by() == {LOG.name}

    await on_real_time(body)


@pytest.mark.parametrize(
    ("moments", "quorum", "since_s"),
    [
        ({}, 1, 0.0),
        ({"a": 5.0}, 1, 5.0),
        ({"a": 5.0}, 2, 0.0),
        ({"a": 5.0, "b": 9.0}, 2, 5.0),
        ({"a": 5.0, "b": 9.0, "c": 7.0}, 2, 7.0),
        ({"gone": 99.0, "a": 5.0}, 1, 5.0),
    ],
)
def test_a_quorum_is_as_old_as_its_oldest(moments: dict[str, float], quorum: int, since_s: float) -> None:
    known = {name: Witnessed(1, at_s) for name, at_s in moments.items()}
    assert quorum_s(known, ["a", "b", "c"], quorum) == since_s


def test_where_grants_wait_nothing_begins_without_witnesses_and_everything_ends() -> None:
    async def body(world: World) -> None:
        waiting = settings((NOWHERE, ONE), grants_wait_after_seconds=900)

        async def has_signed() -> None:
            await world.store.write(lambda tx: tx.witness(ONE.name, Witnessed(1, tx.now_s)))

        world.broker._held = holding(waiting)
        with pytest.raises(No, match="witnesses of the log have not signed it for more than 900 s") as no:
            life = await agreed(world)
            await world.broker.put(life.id, Activate(by=person("dev")), caller("dev"))
        assert no.value.refused.ground is Ground.UNKNOWN
        await has_signed()
        life = await begun(world)
        await asyncio.sleep(1000)
        await world.broker.credential(life.id, caller("dev"))
        with pytest.raises(No, match="witnesses"):
            other = await world.broker.ask(PEEK, caller("dave"))
            await world.broker.put(other.id, Activate(by=person("dave")), caller("dave"))
        await world.broker.put(life.id, Return(by=person("dev")), caller("dev"))
        await world.until(life.id, Stage.ENDED)

    in_a_world(body)


def test_without_witnesses_or_where_nothing_waits_nothing_is_held() -> None:
    async def body(world: World) -> None:
        for one in (settings((NOWHERE, ONE)), settings(grants_wait_after_seconds=900)):
            assert await world.store.read(holding(one)) == ""

    in_a_world(body)
