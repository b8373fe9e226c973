"""What a cluster or a node group says is wrong with it."""

from typing import Any


def set_issue(told: dict[str, Any], code: str, message: str, resources: list[str]) -> None:
    """In place of what it said by that code before."""
    clear_issue(told, code)
    told["health"]["issues"].append({"code": code, "message": message, "resourceIds": resources})


def clear_issue(told: dict[str, Any], code: str) -> None:
    told["health"] = {"issues": [one for one in told["health"]["issues"] if one["code"] != code]}
