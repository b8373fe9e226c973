"""Where everything is: zones, subnets, and which of them each node group gets."""

from collections.abc import Iterable

from msgspec import Struct

from aliquot.eks.provision.cluster_config.not_done import Path
from aliquot.eks.provision.cluster_config.reading import Wanted
from aliquot.eks.provision.cluster_config.schema import NodeGroup
from aliquot.eks.provision.resources import Ref
from aliquot.eks.provision.site import Site

ZONES = 3
"""As many as eksctl takes, where the region has them."""


class Spot(Struct, frozen=True):
    """A subnet in its zone."""

    zone: str
    subnet: Ref | str
    private: bool


class Layout(Struct, frozen=True):
    zones: tuple[str, ...]
    """Of a VPC that is made; empty: it is there."""
    vpc: Ref | str
    spots: tuple[Spot, ...]

    def of(self, *, private: bool) -> tuple[Spot, ...]:
        return tuple(spot for spot in self.spots if spot.private == private)

    @property
    def control_plane(self) -> list[Ref | str]:
        """Its interfaces are on private subnets, where these are in two zones."""
        private = self.of(private=True)
        chosen = private if len({spot.zone for spot in private}) > 1 else self.spots
        return [spot.subnet for spot in chosen]


def subnet_key(zone: str, *, private: bool) -> str:
    return f"subnet/{'private' if private else 'public'}/{zone}"


def lay_out(wanted: Wanted, site: Site) -> Layout:
    """Raises DocumentError."""
    if wanted.config.vpc.id:
        return _existing(wanted, site)
    zones = _zones(wanted, site)
    spots = [
        Spot(zone, Ref(subnet_key(zone, private=private), "SubnetId"), private)
        for private in (False, True)
        for zone in zones
    ]
    return Layout(zones, Ref("vpc", "VpcId"), tuple(spots))


def _zones(wanted: Wanted, site: Site) -> tuple[str, ...]:
    for number, zone in enumerate(wanted.config.zones):
        if zone not in site.zones:
            raise wanted.wrong(
                ("availabilityZones", number), f"{zone} cannot be had; there are {', '.join(site.zones)}"
            )
    if wanted.config.zones:
        return wanted.config.zones
    types = [site.types[name] for group in wanted.config.groups for name in group.types if name in site.types]
    named = [zone for group in wanted.config.groups for zone in group.zones]
    # Zones that the groups name come first, then those that offer the most of what they are made of.
    by_use = sorted(
        site.zones,
        key=lambda zone: (zone not in named, -sum(zone in one.zones for one in types), zone),
    )
    if len(by_use) < 2:
        raise wanted.wrong(("metadata", "region"), "it has fewer than two zones for a control plane")
    return tuple(sorted(by_use[: max(ZONES, len(set(named)))]))


def _existing(wanted: Wanted, site: Site) -> Layout:
    vpc, spots = wanted.config.vpc, []
    for kind, subnets in (("public", vpc.subnets.public), ("private", vpc.subnets.private)):
        for name, one in subnets.items():
            place: Path = ("vpc", "subnets", kind, name, "id")
            found = site.subnets.get(one.id)
            if found is None:
                raise wanted.wrong(place, f"there is no subnet {one.id} in {wanted.config.metadata.region}")
            if found.vpc != vpc.id:
                raise wanted.wrong(place, f"{one.id} is of {found.vpc}, not of {vpc.id}")
            if one.az and one.az != found.zone:
                raise wanted.wrong((*place[:-1], "az"), f"{one.id} is in {found.zone}")
            spots.append(Spot(found.zone, one.id, kind == "private"))
    if len({spot.zone for spot in spots}) < 2:
        raise wanted.wrong(("vpc", "subnets"), "they are all in one zone: EKS asks for two")
    return Layout((), vpc.id, tuple(spots))


def of_group(wanted: Wanted, site: Site, layout: Layout, number: int) -> list[Ref | str]:
    """The subnets of a node group. Raises DocumentError where none of them has its instances."""
    group, place = wanted.config.groups[number], ("managedNodeGroups", number)
    spots = _named(wanted, group, layout)
    offering = _offering(wanted, site, group, place)
    if group.zones:
        unknown = [zone for zone in group.zones if zone not in {spot.zone for spot in spots}]
        if unknown:
            raise wanted.wrong((*place, "availabilityZones"), f"there is no subnet in {unknown[0]}")
        spots = [spot for spot in spots if spot.zone in group.zones]
    reserved = _reserved(wanted, site, group, place)
    if reserved:
        spots = [spot for spot in spots if spot.zone == reserved]
        if not spots:
            raise wanted.wrong(place, f"its reservation is in {reserved}: name that zone")
    there = [spot for spot in spots if spot.zone in offering]
    if not there:
        zones = ", ".join(sorted({spot.zone for spot in spots}))
        raise wanted.wrong(
            place,
            f"{_listed(group.types)} cannot be had in {zones}, but in {', '.join(sorted(offering))}: name such a zone",
        )
    if group.efa or group.placement is not None:
        # Neither EFA nor a cluster placement group reaches beyond a zone.
        if group.subnets and len({spot.zone for spot in there}) > 1:
            raise wanted.wrong((*place, "subnets"), "EFA and placement groups stay in one zone")
        first = sorted(spot.zone for spot in there)[0]
        there = [spot for spot in there if spot.zone == first]
    return [spot.subnet for spot in there]


def _named(wanted: Wanted, group: NodeGroup, layout: Layout) -> list[Spot]:
    if not group.subnets:
        return list(layout.of(private=group.private))
    subnets = wanted.config.vpc.subnets
    ids = {name: one.id for name, one in {**subnets.public, **subnets.private}.items()}
    wished = {ids.get(name, name) for name in group.subnets}
    return [spot for spot in layout.spots if spot.subnet in wished]


def _offering(wanted: Wanted, site: Site, group: NodeGroup, place: Path) -> frozenset[str]:
    """Zones that have all of its types."""
    region = wanted.config.metadata.region
    zones: frozenset[str] | None = None
    for name in group.types:
        one = site.types.get(name)
        if one is None or not one.zones:
            field = "instanceTypes" if group.instance_types else "instanceType"
            raise wanted.wrong(
                (*place, field), f"{region} does not offer {name}: take another type or region"
            )
        zones = one.zones if zones is None else zones & one.zones
    if not zones:
        raise wanted.wrong(
            (*place, "instanceTypes"), f"no zone of {region} has all of {_listed(group.types)}"
        )
    return zones


def _reserved(wanted: Wanted, site: Site, group: NodeGroup, place: Path) -> str:
    """The zone of the reservation that it names; empty: it names none."""
    target = group.reservation.target if group.reservation is not None else None
    if target is None or not target.id:
        return ""
    at = (*place, "capacityReservation", "capacityReservationTarget", "capacityReservationID")
    found = site.reservations.get(target.id)
    if found is None:
        raise wanted.wrong(at, f"there is no reservation {target.id} in {wanted.config.metadata.region}")
    if found.type not in group.types:
        raise wanted.wrong(at, f"{target.id} is of {found.type}, the group of {_listed(group.types)}")
    if found.state in _OVER:
        raise wanted.wrong(at, f"{target.id} is {found.state}: no instance comes of it; name another")
    return found.zone


_OVER = ("expired", "cancelled", "cancelling", "failed", "payment-failed", "unsupported", "unavailable")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
