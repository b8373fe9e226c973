"""EC2's filters and tags."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from aliquot.eks.fake.refusals import Refused

Told = Mapping[str, Any]


def chosen(
    told: list[dict[str, Any]], filters: list[dict[str, Any]], names: Mapping[str, Callable[[Told], str]]
) -> list[dict[str, Any]]:
    """Those that all filters let through; `names`: what each filter looks at. Raises Refused."""
    for one in filters:
        name, values = one.get("Name", ""), one.get("Values", [])
        if name == "tag-key":
            told = [item for item in told if any(_fits(tag["Key"], values) for tag in item.get("Tags", ()))]
        elif name.startswith("tag:"):
            key = name.removeprefix("tag:")
            told = [item for item in told if key in tags(item) and _fits(tags(item)[key], values)]
        elif name in names:
            told = [item for item in told if _fits(names[name](item), values)]
        else:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
    return told


def tags(told: Told) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in told.get("Tags", ())}


def asked_tags(call: Mapping[str, Any], resource: str) -> dict[str, str]:
    """Of a new resource. Raises Refused."""
    found: dict[str, str] = {}
    for one in call.get("TagSpecifications", ()):
        if one.get("ResourceType") != resource:
            raise Refused(
                "InvalidParameterValue", f"'{one.get('ResourceType')}' is not a valid taggable resource here"
            )
        found |= {tag["Key"]: tag.get("Value", "") for tag in one.get("Tags", ())}
    return found


def as_tags(found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in found.items()]


def _fits(value: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)
