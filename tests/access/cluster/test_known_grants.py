"""Which grants a cluster has, when it alone can tell."""

from msgspec.structs import replace

from aliquot.access.cluster.agent import Agent
from aliquot.access.cluster.naming import HOLDER, NAMESPACE, object_name
from aliquot.access.core.outage import KnownGrant
from aliquot.kube.resources import SECRETS
from tests.access.cluster.test_making import ours
from tests.access.cluster.world import NODES, World, grant_id, run, spec


def known(number: int = 1) -> KnownGrant:
    one = spec(number)
    return KnownGrant(
        id=one.id, cluster="east", namespace=one.namespace, template=one.template, holder=one.holder
    )


def test_what_was_made_is_known_by_what_it_says() -> None:
    async def main(world: World) -> None:
        agent = Agent(world.agent)
        assert await agent.there("east") == ()
        await agent.make(spec(1), 1)
        wide = spec(2, namespace="", template=NODES.name, rules=NODES.rules, role=NODES.name)
        await agent.make(wide, 1)
        assert await agent.there("east") == (
            known(1),
            replace(known(2), namespace="", template=NODES.name),
        )

    run(main)


def test_what_is_known_is_enough_to_take_it_away() -> None:
    async def main(world: World) -> None:
        await Agent(world.agent).make(spec(), 1)
        afterwards = Agent(world.agent)
        (found,) = await afterwards.there("east")
        await afterwards.remove(found.id, "", 0)
        assert await ours(world) == []
        assert await afterwards.there("east") == ()

    run(main)


def test_objects_that_name_different_holders_name_none() -> None:
    async def main(world: World) -> None:
        agent = Agent(world.agent)
        await agent.make(spec(), 1)
        forged = {"metadata": {"annotations": {HOLDER: "https://login.example.com#somebody"}}}
        await world.root.patch(SECRETS, object_name(grant_id(1)), forged, NAMESPACE)
        assert await agent.there("east") == (replace(known(), holder=None),)

    run(main, guarded=False)
