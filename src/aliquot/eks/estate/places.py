"""Where nodes are replaced together: a managed node group, which goes by its name, or a NodePool of Karpenter.

A pool's name has a slash, which no group's has: a group and a pool of one name are two places.
"""

from collections.abc import Iterable, Mapping

GROUP_LABEL = "eks.amazonaws.com/nodegroup"
POOL_LABEL = "karpenter.sh/nodepool"
COMPUTE_LABEL, FARGATE = "eks.amazonaws.com/compute-type", "fargate"
"""Of a node of Fargate. Which profile it came by, only its pod says."""
_POOL = "nodepool/"


def pool(name: str) -> str:
    return f"{_POOL}{name}"


def is_pool(place: str) -> bool:
    return place.startswith(_POOL)


def place(labels: Mapping[str, str]) -> str:
    """Of a node with these labels; empty: it is of neither."""
    if POOL_LABEL in labels:
        return pool(labels[POOL_LABEL])
    return labels.get(GROUP_LABEL, "")


def is_fargate(labels: Mapping[str, str]) -> bool:
    """A node with these labels, of one pod."""
    return labels.get(COMPUTE_LABEL) == FARGATE


def told(places: Iterable[str]) -> str:
    """`node groups a, b and NodePool c`."""
    every = tuple(places)
    groups = [one for one in every if not is_pool(one)]
    pools = [one.removeprefix(_POOL) for one in every if is_pool(one)]
    parts = [("node group", groups), ("NodePool", pools)]
    return " and ".join(
        f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}" for kind, names in parts if names
    )
