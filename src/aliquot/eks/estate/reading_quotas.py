"""Quotas that new nodes take of, with what the account uses of them. Asked for only where some group grows while it is replaced."""

from collections import Counter
from typing import Any

from aliquot.eks.aws.api import Api
from aliquot.eks.estate.estate import Nodegroup, Quota
from aliquot.eks.estate.quotas import CODES, GP3_STORAGE, code_of

_GIB_OF_A_TIB = 1024


async def quotas(api: Api, groups: tuple[Nodegroup, ...]) -> tuple[Quota, ...]:
    """Raises Failure."""
    if not any(group.desired and group.strategy == "DEFAULT" for group in groups):
        return ()
    used = await _vcpus(api)
    used[GP3_STORAGE] = await _gp3_tib(api)
    return tuple(
        [
            Quota(
                code=one["QuotaCode"],
                name=one.get("QuotaName", ""),
                limit=one.get("Value", 0.0),
                used=used.get(one["QuotaCode"], 0.0),
            )
            for service in ("ec2", "ebs")
            for one in await _limits(api, service)
            if one["QuotaCode"] in CODES
        ]
    )


async def _limits(api: Api, service: str) -> list[dict[str, Any]]:
    pages = api.pages("service-quotas", "ListServiceQuotas", "Quotas", ServiceCode=service)
    return [one async for one in pages if isinstance(one, dict)]


async def _vcpus(api: Api) -> dict[str, float]:
    """In use, by quota."""
    found: Counter[str] = Counter()
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    async for reservation in api.pages("ec2", "DescribeInstances", "Reservations", Filters=states):
        assert isinstance(reservation, dict)
        for one in reservation.get("Instances", ()):
            cpus = one.get("CpuOptions", {})
            code = code_of(one["InstanceType"], spot=one.get("InstanceLifecycle") == "spot")
            found[code] += cpus.get("CoreCount", 0) * cpus.get("ThreadsPerCore", 1)
    return {code: float(count) for code, count in found.items()}


async def _gp3_tib(api: Api) -> float:
    kind = [{"Name": "volume-type", "Values": ["gp3"]}]
    volumes = api.pages("ec2", "DescribeVolumes", "Volumes", Filters=kind)
    sizes_gib = [int(one.get("Size", 0)) async for one in volumes if isinstance(one, dict)]
    return sum(sizes_gib) / _GIB_OF_A_TIB
