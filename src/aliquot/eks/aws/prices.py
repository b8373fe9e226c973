"""What an instance costs an hour, on demand, as AWS' price list has it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from aliquot.eks.aws.api import Api


async def read(api: Api, instance_types: Iterable[str], region: str) -> dict[str, float]:
    """Of those that the list has. Raises Failure."""
    found: dict[str, float] = {}
    for name in instance_types:
        answer = await api.call(
            "pricing", "GetProducts", ServiceCode="AmazonEC2", Filters=_filters(name, region), MaxResults=10
        )
        prices = [usd for text in answer.get("PriceList", ()) for usd in _prices(msgspec.json.decode(text))]
        if prices:
            found[name] = min(prices)
    return found


def _filters(instance_type: str, region: str) -> list[dict[str, str]]:
    wanted = {
        "instanceType": instance_type,
        "regionCode": region,
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "tenancy": "Shared",
        "capacitystatus": "Used",
    }
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]


def _prices(product: Mapping[str, Any]) -> list[float]:
    return [
        usd
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term.get("priceDimensions", {}).values()
        if dimension.get("unit") == "Hrs" and (usd := float(dimension["pricePerUnit"].get("USD", 0))) > 0
    ]
