"""What of AWS is answered here beside EKS, because moto has it not: chosen by service and operation."""

from collections.abc import Callable
from typing import Any

from aliquot.eks.fake.beside import (
    blocks,
    parameters,
    placement,
    policies,
    prices,
    quotas,
    reservations,
    tagging,
)
from aliquot.eks.fake.faults import Kind
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.service import Lost
from aliquot.eks.fake.shapes import shapes
from aliquot.eks.fake.world import World

Rule = Callable[[World, dict[str, Any], float], dict[str, Any]]

RULES: dict[tuple[str, str], Rule] = {
    ("ec2", "CancelCapacityReservation"): reservations.cancel,
    ("ec2", "CreateCapacityReservation"): reservations.create,
    ("ec2", "CreatePlacementGroup"): placement.create,
    ("ec2", "CreateTags"): tagging.create,
    ("ec2", "DeletePlacementGroup"): placement.delete,
    ("ec2", "DeleteTags"): tagging.delete,
    ("ec2", "DescribeCapacityBlockOfferings"): blocks.offerings,
    ("ec2", "DescribeCapacityReservations"): reservations.describe,
    ("ec2", "DescribePlacementGroups"): placement.describe,
    ("ec2", "PurchaseCapacityBlock"): blocks.purchase,
    ("iam", "SimulatePrincipalPolicy"): policies.simulate,
    ("pricing", "GetProducts"): prices.products,
    ("service-quotas", "GetAWSDefaultServiceQuota"): quotas.get_default,
    ("service-quotas", "GetServiceQuota"): quotas.get,
    ("service-quotas", "ListAWSDefaultServiceQuotas"): quotas.list_defaults,
    ("service-quotas", "ListServiceQuotas"): quotas.list_quotas,
    ("service-quotas", "RequestServiceQuotaIncrease"): quotas.request_increase,
    ("ssm", "GetParameter"): parameters.get,
    ("ssm", "GetParameters"): parameters.get_several,
    ("ssm", "GetParametersByPath"): parameters.by_path,
}
_MOST_IN_A_PAGE = {"ssm": 10, "ec2": 1000}


def takes(service: str, operation: str, call: dict[str, Any]) -> bool:
    """Whether it is answered here, and not by what is behind."""
    if (service, operation) not in RULES:
        return False
    if operation in ("CreateTags", "DeleteTags"):
        return tagging.is_here(call.get("Resources", []))
    if service == "ssm":
        names = [call.get("Name", call.get("Path", "")), *call.get("Names", ())]
        return any(parameters.is_public(f"{name}/") for name in names)
    return True


def answer(world: World, service: str, operation: str, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    """With times as datetimes. Raises Refused and Lost."""
    fault = world.faults.take(Kind.REFUSE, operation)
    if fault is not None:
        raise Refused(fault.code, fault.message)
    model = shapes(service)
    model.check(operation, call)
    if call.get("DryRun"):
        raise Refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    whole = RULES[service, operation](world, call, now_s)
    page = model.page(operation, call, whole, _MOST_IN_A_PAGE.get(service, 100))
    model.assert_answer(operation, page)
    if world.faults.take(Kind.LOSE, operation) is not None:
        raise Lost
    return page
