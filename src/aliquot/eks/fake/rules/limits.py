"""How much of EKS an account may have, by its quotas."""

from aliquot.eks.fake.beside import quotas
from aliquot.eks.fake.refusals import too_many
from aliquot.eks.fake.world import World

CLUSTERS, GROUPS, NODES, PROFILES = "L-1194D53C", "L-6D54EA21", "L-BD136A63", "L-33415657"


def check(world: World, code: str, wanted: int, what: str, **names: str) -> None:
    """Raises Refused where so many are more than the quota."""
    most = quotas.value(world, "eks", code)
    if wanted > most:
        raise too_many(f"{what} limit exceeded: {wanted} are wanted, {most:.0f} is the quota", **names)
