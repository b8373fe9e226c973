"""Which network the pods of each emulated node have: one of its own, for as long as its Node object lives.

The Node's own `spec.podCIDR` is the record; only a node without one is given the next free network.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from itertools import islice

CLUSTER_NETWORK = IPv4Network("10.128.0.0/9")
NODE_PREFIX_BITS = 24
"""More addresses than the 110 pods that kubelet runs at most."""
MOST_NODES = 1 << (NODE_PREFIX_BITS - CLUSTER_NETWORK.prefixlen)


def assign(names: Iterable[str], taken: Mapping[str, str]) -> dict[str, str]:
    """`taken`: networks of the Nodes that are known, by name. At most MOST_NODES of both together."""
    used = set(taken.values())
    wanting = [name for name in names if not taken.get(name)]
    free = (
        str(network)
        for network in CLUSTER_NETWORK.subnets(new_prefix=NODE_PREFIX_BITS)
        if str(network) not in used
    )
    return {**taken, **dict(zip(wanting, islice(free, len(wanting)), strict=True))}
