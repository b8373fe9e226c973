"""Aliquot into a cluster that was just made, through a client that is passed in."""

import pytest

from aliquot.cli.eks.operator_step import NotInstalled, install
from aliquot.emulator.versions import Surface
from aliquot.kube.resources import DEPLOYMENTS
from aliquot.kube.roles import NAMESPACE
from tests.installation.conftest import Start, start

__all__ = ["start"]


async def test_what_aliquot_install_applies_is_there_and_who_is_not_ready_is_named(start: Start) -> None:
    _, client = await start(Surface("1.36"))
    told: list[str] = []
    # Nobody runs pods here.
    for _ in range(2):
        with pytest.raises(NotInstalled, match="aliquot-operator"):
            await install(client, told.append, timeout_s=0.1)
    names = {one["metadata"]["name"] for one in (await client.list(DEPLOYMENTS, namespace=NAMESPACE)).items}
    assert {"aliquot-operator", "aliquot-scheduler"} <= names
    assert sum(line.startswith("Deployment") and "created" in line for line in told) == len(names)
