"""How a cluster wants its pods placed, as its owner says it in one word."""

from enum import StrEnum

from aliquot.scheduler.core import scores
from aliquot.scheduler.core.policies import Policies


class Placement(StrEnum):
    WORTH = "worth"
    """Where what is left is of the most use to the pods that usually come; by PACK until enough is known of them."""
    PACK = "pack"
    """GPU pods onto the nodes used most."""
    SPREAD = "spread"
    """GPU pods onto the nodes used least."""


def starting(placement: Placement) -> Policies:
    """What holds before anything is known of the pods."""
    return Policies(by_room=scores.SPREADING if placement is Placement.SPREAD else scores.PACKING)
