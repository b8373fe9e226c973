"""What may be given is in the log from when the files say so: once, and what of it is another."""

from msgspec.structs import replace

from aliquot.access.broker.policy_noting import FILES, PolicyNoting
from aliquot.access.core.templates.template import digest
from tests.access.broker.world import World, in_a_world
from tests.access.life.scenery import FIX, PEEK, circle, policy_of


def test_each_change_is_told_once_and_what_of_it_is_another() -> None:
    async def body(world: World) -> None:
        noting = PolicyNoting(world.store, world.others)
        longer = replace(FIX, max_duration_s=FIX.max_duration_s + 1)
        policies = [
            policy_of(),
            policy_of(),
            policy_of((longer, replace(PEEK, name="look")), auditors=circle("audit")),
            policy_of(),
        ]
        for policy in policies:
            world.others.policy = policy
            await noting.note()
        # A process that comes later finds that it is told already.
        await PolicyNoting(world.store, world.others).note()
        first, second, third = await world.entries()
        assert {one.action for one in (first, second, third)} == {"policy.changed"}
        assert {one.actor for one in (first, second, third)} == {FILES}
        assert first.details["added"] == {"fix": digest(FIX), "peek": digest(PEEK)}
        assert (first.before, first.after) == ("", policies[0].digest)
        assert second.details["changed"] == {"fix": digest(longer)}
        assert list(second.details["added"]) == ["look"]
        assert second.details["gone"] == ["peek"]
        assert second.details["auditors"]["groups"] == [*circle("audit").groups]
        assert (third.before, third.after) == (second.after, first.after)
        assert third.details["gone"] == ["look"]

    in_a_world(body)


def test_while_the_files_are_broken_nothing_is_told() -> None:
    async def body(world: World) -> None:
        world.others.is_broken = True
        await PolicyNoting(world.store, world.others).note()
        assert await world.entries() == []

    in_a_world(body)


def test_more_templates_than_an_entry_has_room_for_are_told_by_their_digest() -> None:
    async def body(world: World) -> None:
        many = policy_of([replace(PEEK, name=f"peek-{number}") for number in range(800)])
        world.others.policy = many
        await PolicyNoting(world.store, world.others).note()
        (told,) = await world.entries()
        assert (told.after, told.details) == (many.digest, {})

    in_a_world(body)
