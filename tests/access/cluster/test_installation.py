"""What a cluster is given beforehand is enough for grants of every template that is shipped."""

import asyncio
import re
from typing import Any

from aliquot.access.cluster import credentials, installation, making
from aliquot.access.cluster.naming import KINDS, PREFIX, SENTINEL, Ours
from aliquot.access.core.templates.catalogue import shipped
from aliquot.access.core.templates.resolving import resolve
from aliquot.access.core.templates.template import Template, role_name
from aliquot.kube.resources import DEPLOYMENTS, NAMESPACES
from aliquot.kube.roles import CLUSTER_ROLES
from tests.access.cluster.world import START_S, World, run, spec

TEMPLATES = {one.name: one for one in shipped({})}
CANDIDATES = ("web", "gpu-reset-n1", "reset-n1", "web-0", "n1", "all-balanced", "team-a", "1g.5gb")


def parameters(template: Template) -> dict[str, str]:
    return {
        name: next(one for one in CANDIDATES if re.fullmatch(parameter.pattern, one))
        for name, parameter in template.parameters.items()
    }


def grant(number: int, template: Template) -> Any:
    namespace = "" if template.cluster_wide else "shop"
    if template.namespaces and "*" not in template.namespaces:
        namespace = template.namespaces[0]
    return spec(
        number,
        template=template.name,
        namespace=namespace,
        rules=resolve(template, parameters(template), namespace),
        role="" if template.has_own_role else role_name(template),
        end_s=START_S + 3000,
    )


def test_every_shipped_template_can_be_granted() -> None:
    async def main(world: World) -> None:
        made, held = installation.of_templates(TEMPLATES.values())
        await installation.install(
            world.root, [*installation.objects(made, held), installation.sentinel("a:1")]
        )
        assert (await world.root.get(DEPLOYMENTS, SENTINEL, "aliquot-system"))["spec"]["replicas"] == 2
        await world.root.create(NAMESPACES, {"metadata": {"name": "gpu-maintenance"}})
        for number, template in enumerate(TEMPLATES.values()):
            wanted = grant(number, template)
            await making.make(world.agent, wanted)
            given = await credentials.mint(world.agent, wanted)
            assert await world.status_with(given.token) in (200, 403)
        await asyncio.sleep(START_S + 3060 - world.clock.now())
        left = [
            resource.kind
            for resource in KINDS
            for one in (await world.root.list(resource, into=Ours)).items
            if one.metadata.name.startswith(PREFIX)
        ]
        assert set(left) <= {"ClusterRoleBinding", "ClusterRole"}

    assert len(TEMPLATES) > 10
    run(main)


def test_roles_are_there_for_templates_without_parameters_alone() -> None:
    made, held = installation.of_templates(TEMPLATES.values())
    assert {one.name for one in made} == {
        role_name(one) for one in TEMPLATES.values() if not one.has_own_role
    }
    assert held
    assert all(not one.resource_names for one in held)
    assert len(set(held)) == len(held)


def test_applied_twice_nothing_changes() -> None:
    async def main(world: World) -> None:
        wanted = installation.objects(*installation.of_templates(TEMPLATES.values()))
        versions = []
        for _ in range(2):
            await installation.install(world.root, wanted)
            listed = await world.root.list(installation.POLICIES)
            listed_roles = await world.root.list(CLUSTER_ROLES)
            versions.append(
                [one["metadata"]["resourceVersion"] for one in (*listed.items, *listed_roles.items)]
            )
        assert versions[0] == versions[1]

    run(main)
