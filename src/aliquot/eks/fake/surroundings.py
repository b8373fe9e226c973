"""What EC2 has of what a call names: subnets, whether they are private, and launch templates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.eks.fake.refusals import wrong


@dataclass(frozen=True)
class Subnet:
    id: str
    zone: str
    vpc: str
    free: int
    public: bool


@dataclass(frozen=True)
class Template:
    """A version of a launch template: what of it is EKS' business."""

    id: str
    name: str
    version: str
    image: str = ""
    instance_type: str = ""
    market: str = ""
    """`spot`, `capacity-block`; empty: on demand."""
    reservation: str = ""
    preference: str = ""
    placement_group: str = ""


class Surroundings:
    """As EC2's own answers tell of them."""

    def __init__(
        self,
        subnets: Iterable[Mapping[str, Any]] = (),
        *,
        route_tables: Sequence[Mapping[str, Any]] = (),
        templates: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """`templates`: versions of launch templates; None: nobody was there to ask, so what a template says is not looked at."""
        self._templates = templates
        self._subnets = {
            one["SubnetId"]: Subnet(
                one["SubnetId"],
                one["AvailabilityZone"],
                one["VpcId"],
                int(one["AvailableIpAddressCount"]),
                _is_public(one, route_tables),
            )
            for one in subnets
        }

    def subnets(self, ids: Sequence[str]) -> list[Subnet]:
        """Raises Refused."""
        missing = [id_ for id_ in ids if id_ not in self._subnets]
        if missing or not ids:
            raise wrong(f"The subnet ID '{missing[0] if missing else ''}' does not exist")
        return [self._subnets[id_] for id_ in ids]

    def template(self, named: Mapping[str, str]) -> Template | None:
        """Raises Refused."""
        if self._templates is None:
            return None
        version = named.get("version", "$Default")
        for one in self._templates:
            ids = (one["LaunchTemplateId"], one.get("LaunchTemplateName", ""))
            if named.get("id", named.get("name")) in ids and (
                version.startswith("$") or version == str(one["VersionNumber"])
            ):
                return _template(one)
        raise wrong(f"Launch template {named.get('id', named.get('name'))} version {version} does not exist")


def _template(one: Mapping[str, Any]) -> Template:
    data = one.get("LaunchTemplateData", {})
    reservations = data.get("CapacityReservationSpecification", {})
    target = reservations.get("CapacityReservationTarget", {})
    if "CapacityReservationResourceGroupArn" in target:
        raise wrong("the fake knows no groups of reservations: name one reservation in the launch template")
    return Template(
        id=one["LaunchTemplateId"],
        name=one.get("LaunchTemplateName", ""),
        version=str(one["VersionNumber"]),
        image=data.get("ImageId", ""),
        instance_type=data.get("InstanceType", ""),
        market=data.get("InstanceMarketOptions", {}).get("MarketType", ""),
        reservation=target.get("CapacityReservationId", ""),
        preference=reservations.get("CapacityReservationPreference", ""),
        placement_group=data.get("Placement", {}).get("GroupName", ""),
    )


def _is_public(subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> bool:
    """Its route table, or else the main one of its VPC, has a way to an internet gateway."""

    def associated(table: Mapping[str, Any], key: str, value: Any) -> bool:
        return any(one.get(key) == value for one in table.get("Associations", ()))

    own = [one for one in tables if associated(one, "SubnetId", subnet["SubnetId"])]
    main = [one for one in tables if one.get("VpcId") == subnet["VpcId"] and associated(one, "Main", True)]
    return any(
        route.get("GatewayId", "").startswith("igw-")
        for table in (own or main)
        for route in table.get("Routes", ())
    )


def questions(operation: str, parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What EC2 has to be asked before a call to EKS: its operations, and their parameters."""
    asked: dict[str, dict[str, Any]] = {}
    if operation in _PLACED or (
        operation == "UpdateClusterConfig" and "subnetIds" in parameters.get("resourcesVpcConfig", {})
    ):
        asked["DescribeSubnets"] = {}
    if operation == "CreateFargateProfile":
        asked["DescribeRouteTables"] = {}
    named = parameters.get("launchTemplate")
    if operation in ("CreateNodegroup", "UpdateNodegroupVersion") and named:
        which = (
            {"LaunchTemplateId": named["id"]} if "id" in named else {"LaunchTemplateName": named.get("name")}
        )
        asked["DescribeLaunchTemplateVersions"] = {**which, "Versions": [named.get("version", "$Default")]}
    return asked


_PLACED = frozenset(
    {
        "CreateCluster",
        "CreateFargateProfile",
        "CreateNodegroup",
        "UpdateClusterVersion",
        "UpdateNodegroupVersion",
    }
)


def surroundings(answers: Mapping[str, Mapping[str, Any]]) -> Surroundings:
    """EC2's answers by its operations."""
    templates = answers.get("DescribeLaunchTemplateVersions")
    return Surroundings(
        answers.get("DescribeSubnets", {}).get("Subnets", ()),
        route_tables=answers.get("DescribeRouteTables", {}).get("RouteTables", ()),
        templates=None if templates is None else templates.get("LaunchTemplateVersions", ()),
    )
