"""The policy that users are shown allows what whole upgrades and ways back ask for, and little else."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from aliquot.eks.upgrade.acts.group_copy import COPY_OF
from tests.eks.upgrade import whole_lives
from tests.eks.upgrade.whole import Whole
from tests.eks.upgrade.whole_lives import live

POLICY = Path(__file__).parents[3] / "examples" / "eks" / "upgrader-policy.json"
_TAKES_NO_RIGHT = "sts:GetCallerIdentity"
_PREFIX = {"service-quotas": "servicequotas"}


@pytest.fixture(scope="module")
def asked() -> set[str]:
    """Actions, as policies name them."""
    found: set[str] = set()
    read = whole_lives.read

    async def reading(world: Whole) -> object:
        found_later.append(world)
        return await read(world)

    found_later: list[Whole] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_lives, "read", reading)
        for seed in (1, 6, 8):
            live(seed)
    for world in found_later:
        for call in world.api.calls:
            service, _, operation = call.partition(":")
            if call != _TAKES_NO_RIGHT:
                found.add(f"{_PREFIX.get(service, service)}:{operation}")
    return found


def allowed() -> list[str]:
    statements = json.loads(POLICY.read_text())["Statement"]
    return [
        action
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]


def test_it_allows_what_is_asked_for(asked: set[str]) -> None:
    patterns = allowed()
    assert {one for one in asked if not any(fnmatchcase(one, pattern) for pattern in patterns)} == set()


def test_what_it_allows_to_change_is_asked_for_somewhere(asked: set[str]) -> None:
    changing = {one for one in allowed() if one.startswith("eks:Update")}
    # EXTENDED support is asked for on the way back to a minor in it, where the policy is STANDARD.
    assert changing - asked <= {"eks:UpdateClusterConfig"}


def test_it_deletes_copies_of_node_groups_alone() -> None:
    assert [one for one in allowed() if "Delete" in one or one.endswith(":*")] == ["eks:DeleteNodegroup"]
    (statement,) = (
        one for one in json.loads(POLICY.read_text())["Statement"] if one["Action"] == "eks:DeleteNodegroup"
    )
    assert statement["Condition"] == {"StringLike": {f"aws:ResourceTag/{COPY_OF}": "*"}}
