"""The price list: of some instance types, in USD an hour on demand. What is not in it has no price."""

import json
from typing import Any

from aliquot.eks.fake.refusals import wrong
from aliquot.eks.fake.world import World

HOURLY_USD = {
    "t3.medium": 0.0416,
    "m5.large": 0.096,
    "m6i.large": 0.096,
    "m7i.large": 0.1008,
    "c5.large": 0.085,
    "g5.xlarge": 1.006,
    "g5.12xlarge": 5.672,
    "g5.48xlarge": 16.288,
    "g6.xlarge": 0.8048,
    "g6.12xlarge": 4.6016,
    "p4d.24xlarge": 21.9576,
    "p5.48xlarge": 55.04,
}
"""In us-east-1, about 2026; other regions have other prices."""
_ALWAYS = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "productFamily": "Compute Instance",
    "licenseModel": "No License required",
    "marketoption": "OnDemand",
}


def hourly(world: World, instance_type: str) -> float:
    """0.0: it has no price."""
    return world.prices.get(instance_type, HOURLY_USD.get(instance_type, 0.0))


def products(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    if call["ServiceCode"] != "AmazonEC2":
        raise wrong(f"Invalid service code: {call['ServiceCode']} (the fake has prices of AmazonEC2 alone)")
    found = []
    for type_ in {**HOURLY_USD, **world.prices}:
        attributes = {**_ALWAYS, "instanceType": type_, "regionCode": world.region}
        if all(_fits(attributes, one) for one in call.get("Filters", ())):
            found.append(json.dumps(_product(type_, attributes, hourly(world, type_))))
    return {"FormatVersion": "aws_v1", "PriceList": found}


def _fits(attributes: dict[str, str], asked: dict[str, str]) -> bool:
    value = attributes.get(asked["Field"], "")
    wanted = asked["Value"]
    if asked["Type"] in ("TERM_MATCH", "EQUALS"):
        return value == wanted
    if asked["Type"] == "CONTAINS":
        return wanted in value
    return (value in wanted.split(",")) == (asked["Type"] == "ANY_OF")


def _product(type_: str, attributes: dict[str, str], price: float) -> dict[str, Any]:
    sku = f"FAKE{type_.replace('.', '').upper()}"
    offer, rate = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{price:.10f}"}, "rateCode": rate}
    return {
        "product": {"sku": sku, "productFamily": "Compute Instance", "attributes": attributes},
        "serviceCode": "AmazonEC2",
        "terms": {"OnDemand": {offer: {"sku": sku, "priceDimensions": {rate: dimension}}}},
        "version": "fake",
    }
