"""Service Quotas: what an account may have. As AWS gives it to a new one, where the world says nothing else."""

from typing import Any

from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import World, at

DEFAULTS: dict[str, dict[str, tuple[str, float]]] = {
    "ec2": {
        "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
        "L-DB2E81BA": ("Running On-Demand G and VT instances", 0),
        "L-417A185B": ("Running On-Demand P instances", 0),
        "L-1945791B": ("Running On-Demand Inf instances", 0),
        "L-2C3B7624": ("Running On-Demand Trn instances", 0),
        "L-6E869C2A": ("Running On-Demand DL instances", 0),
        "L-74FC7D96": ("Running On-Demand F instances", 0),
        "L-7295265B": ("Running On-Demand X instances", 0),
        "L-43DA4232": ("Running On-Demand High Memory instances", 0),
        "L-F7808C92": ("Running On-Demand HPC instances", 0),
        "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5),
        "L-3819A6DF": ("All G and VT Spot Instance Requests", 0),
        "L-7212CCBC": ("All P4, P3 and P2 Spot Instance Requests", 0),
        "L-C4BD4855": ("All P5 Spot Instance Requests", 0),
        "L-0263D0A3": ("EC2-VPC Elastic IPs", 5),
    },
    "ebs": {
        "L-7A658B76": ("Storage for General Purpose SSD (gp3) volumes, in TiB", 50),
    },
    "vpc": {
        "L-F678F1CE": ("VPCs per Region", 5),
        "L-407747CB": ("Subnets per VPC", 200),
        "L-A4707A72": ("Internet gateways per Region", 5),
        "L-FE5A380F": ("NAT gateways per Availability Zone", 5),
        "L-DF5E4CA3": ("Network interfaces per Region", 5000),
        "L-0EA8095F": ("Inbound or outbound rules per security group", 60),
    },
    "eks": {
        "L-1194D53C": ("Clusters", 100),
        "L-6D54EA21": ("Managed node groups per cluster", 30),
        "L-BD136A63": ("Nodes per managed node group", 450),
        "L-33415657": ("Fargate profiles per cluster", 10),
        "L-23414FF3": ("Selectors per Fargate profile", 5),
    },
}
"""By service, by code. On-Demand and Spot: in vCPUs."""
_NAMES = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "ebs": "Amazon Elastic Block Store (Amazon EBS)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
    "eks": "Amazon Elastic Kubernetes Service (Amazon EKS)",
}


def _told(world: World, service: str, code: str, *, applied: bool) -> dict[str, Any]:
    name, value = DEFAULTS[service][code]
    return {
        "ServiceCode": service,
        "ServiceName": _NAMES[service],
        "QuotaArn": f"arn:aws:servicequotas:{world.region}:{world.account}:{service}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(world.quotas.get((service, code), value) if applied else value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def value(world: World, service: str, code: str) -> float:
    return float(world.quotas.get((service, code), DEFAULTS[service][code][1]))


def _service(call: dict[str, Any]) -> str:
    code: str = call["ServiceCode"]
    if code not in DEFAULTS:
        raise Refused("NoSuchResourceException", f"The request failed because service {code} does not exist")
    return code


def _get(world: World, call: dict[str, Any], *, applied: bool) -> dict[str, Any]:
    service = _service(call)
    if call["QuotaCode"] not in DEFAULTS[service]:
        raise Refused(
            "NoSuchResourceException", f"The request failed because quota {call['QuotaCode']} does not exist"
        )
    return {"Quota": _told(world, service, call["QuotaCode"], applied=applied)}


def _list(world: World, call: dict[str, Any], *, applied: bool) -> dict[str, Any]:
    service = _service(call)
    wanted = call.get("QuotaCode")
    codes = [code for code in DEFAULTS[service] if wanted in (None, code)]
    return {"Quotas": [_told(world, service, code, applied=applied) for code in codes]}


def get(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return _get(world, call, applied=True)


def get_default(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return _get(world, call, applied=False)


def list_quotas(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return _list(world, call, applied=True)


def list_defaults(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return _list(world, call, applied=False)


def request_increase(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    """AWS takes minutes or days, and may say no; here it is approved at once."""
    _get(world, call, applied=True)
    service, code, desired = call["ServiceCode"], call["QuotaCode"], float(call["DesiredValue"])
    if desired <= value(world, service, code):
        raise Refused(
            "IllegalArgumentException", "The desired value has to be greater than the quota's value"
        )
    world.quotas[service, code] = desired
    told = _told(world, service, code, applied=True)
    kept = ("ServiceCode", "ServiceName", "QuotaArn", "QuotaCode", "QuotaName", "Unit", "GlobalQuota")
    return {
        "RequestedQuota": {
            **{name: told[name] for name in kept},
            "Id": f"{world.rng.getrandbits(128):032x}",
            "DesiredValue": desired,
            "Status": "APPROVED",
            "Created": at(now_s),
        }
    }
