"""How many nodes come on top while a managed group is replaced: more of everything is needed for as long."""

from aliquot.eks.estate.estate import Estate, Nodegroup


def nodes_on_top(estate: Estate, group: Nodegroup) -> int:
    """As the guide of EKS has it for the strategy DEFAULT: twice its zones, or as many as may be away at once. MINIMAL adds none, and
    whoever is copied all of its own."""
    if group.copied:
        return group.desired
    if group.strategy != "DEFAULT" or not group.desired:
        return 0
    zones = {subnet.zone for subnet in estate.subnets if subnet.id in group.subnets}
    return max(2 * len(zones), group.most_unavailable) if zones else 0
