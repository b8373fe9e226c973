"""What a cluster costs an hour, as far as it is known before it is made; and what of it is not priced."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from aliquot.eks.provision.cluster_config.schema import ClusterConfig


class Costs(Struct, frozen=True, kw_only=True):
    """In USD for an hour."""

    control_plane: float
    nodes: tuple[tuple[str, int, float | None], ...]
    """Instance type, how many, what one costs on demand (None: it is not priced)."""
    gateways: int

    @property
    def known(self) -> float:
        return self.control_plane + sum(count * usd for _, count, usd in self.nodes if usd is not None)

    def lines(self) -> list[str]:
        told = [f"control plane {self.control_plane:.2f}"]
        told += [f"{count} x {name} {count * usd:.2f}" for name, count, usd in self.nodes if usd is not None]
        without = [f"{count} x {name}" for name, count, usd in self.nodes if usd is None]
        if self.gateways:
            without.append(f"{self.gateways} NAT gateway{'s' if self.gateways > 1 else ''}")
        without += ["disks", "traffic", "logs"]
        return [
            f"{self.known:.2f} USD an hour are known of: {', '.join(told)}",
            f"not priced: {', '.join(without)}",
        ]


def of(config: ClusterConfig, control_plane: float, prices: Mapping[str, float], gateways: int) -> Costs:
    """`prices`: of instances, on demand. Of spot groups and capacity blocks none is known."""
    sizes: Counter[str] = Counter()
    priced: dict[str, float | None] = {}
    for group in config.groups:
        name = group.types[0]
        if group.spot or group.market is not None:
            name = f"{name} ({'spot' if group.spot else 'capacity block'})"
        sizes[name] += group.sizes[1]
        priced[name] = prices.get(name)
    nodes = tuple((name, count, priced[name]) for name, count in sorted(sizes.items()) if count)
    return Costs(control_plane=control_plane, nodes=nodes, gateways=gateways)
