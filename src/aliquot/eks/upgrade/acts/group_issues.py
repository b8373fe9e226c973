"""What EKS says is wrong with a node group."""

from collections.abc import Mapping
from typing import Any


def told_issues(group: Mapping[str, Any]) -> tuple[str, ...]:
    """A line each, of a group as DescribeNodegroup tells of it."""
    return tuple(
        f"{one.get('code', 'Unknown')}: {one.get('message', 'EKS does not say why')}"
        for one in group.get("health", {}).get("issues", ())
    )
