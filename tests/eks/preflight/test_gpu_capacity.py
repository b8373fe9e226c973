"""Whether GPU nodes can be replaced where they are: each row is a group with its capacity, and what is found."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aliquot.eks.estate.estate import RESERVATIONS, Nodegroup, Reservation, SecurityGroup, Template
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import gpu_capacity
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor
from tests.eks.preflight.estates import M132, M133, estate, group, nodes

BLOCK, WARN = Severity.BLOCK, Severity.WARN
NOW_S = datetime(2026, 10, 1, 8, tzinfo=UTC).timestamp()
HOUR_S = 3600.0


def gpus(**more: Any) -> Nodegroup:
    settings = {"instance_types": ("p5.48xlarge",), "desired": 3, "template": "lt-1", "template_version": "1"}
    return group(**{**settings, **more})


def template(**more: Any) -> Template:
    return Template(id="lt-1", version="1", **more)


def reserved(**more: Any) -> Reservation:
    return Reservation(**{"id": "cr-1", "instance_type": "p5.48xlarge", "total": 4, **more})


def judged(one: Nodegroup, to: Minor = M132, **more: Any) -> list[Finding]:
    there = estate(nodegroups=(one,), read_s=NOW_S, **{"templates": (template(),), **more})
    found = list(gpu_capacity.judge(there, to))
    assert all(finding.why and finding.fix and "\n" not in finding.why for finding in found)
    return found


MINIMAL = {"strategy": "MINIMAL"}
TARGETED = (template(reservation="cr-1"),)


@pytest.mark.parametrize(
    ("one", "more", "found", "says"),
    [
        # Two zones: four nodes more.
        (gpus(), {"templates": TARGETED, "reservations": (reserved(available=0),)}, [BLOCK], "0 of 4 free"),
        (gpus(), {"templates": TARGETED, "reservations": (reserved(available=3),)}, [BLOCK], "3 of 4 free"),
        (gpus(), {"templates": TARGETED, "reservations": (reserved(available=4),)}, [], ""),
        (gpus(**MINIMAL), {"templates": TARGETED, "reservations": (reserved(available=0),)}, [], ""),
        (
            gpus(desired=0),
            {"templates": TARGETED, "reservations": (reserved(available=0),)},
            [],
            "",
        ),
        (gpus(), {"templates": TARGETED, "reservations": ()}, [BLOCK], "names the reservation cr-1"),
        (
            gpus(),
            {
                "templates": TARGETED,
                "unchecked": (Unchecked(what=RESERVATIONS, why="not permitted"),),
            },
            [WARN],
            "it is not told how much is free",
        ),
        (
            gpus(),
            {"templates": (template(reservation="arn:aws:resource-groups:eu-west-1:1:group/g"),)},
            [WARN],
            "it is not told how much is free",
        ),
        (gpus(capacity="CAPACITY_BLOCK"), {}, [WARN], "a capacity block"),
        (gpus(), {"templates": (template(market="capacity-block"),)}, [WARN], "a capacity block"),
        (gpus(capacity="CAPACITY_BLOCK", **MINIMAL), {}, [], ""),
        (gpus(), {}, [WARN], "4 nodes more of p5"),
        (gpus(), {"subnets": ()}, [WARN], "1 node more of p5"),
        (gpus(**MINIMAL), {}, [], ""),
        (gpus(instance_types=("g5.xlarge",)), {}, [], ""),
        (gpus(instance_types=("m7i.large",)), {}, [], ""),
        (
            gpus(instance_types=("g5.xlarge",)),
            {"templates": (template(placement_group="pg"),)},
            [WARN],
            "placement group pg",
        ),
        (gpus(**MINIMAL), {"templates": (template(placement_group="pg"),)}, [], ""),
    ],
)
def test_room_for_nodes_on_top(
    one: Nodegroup, more: dict[str, Any], found: list[Severity], says: str
) -> None:
    judgement = judged(one, **more)
    assert [finding.severity for finding in judgement] == found
    assert not found or says in judgement[0].why


@pytest.mark.parametrize(
    ("hours", "block", "to", "desired", "found"),
    [
        (48, True, M132, 3, []),
        (24, True, M132, 3, [WARN]),
        (1, True, M132, 3, [BLOCK]),
        # 45 min and three nodes of 20 min; EC2 takes the last half hour of a block.
        (1.75, False, M132, 3, [WARN]),
        (1.75, True, M132, 3, [BLOCK]),
        (1.74, False, M132, 3, [BLOCK]),
        (1.75, False, M133, 3, [BLOCK]),
        (1.75, False, M132, 4, [BLOCK]),
    ],
)
def test_a_block_that_ends(hours: float, block: bool, to: Minor, desired: int, found: list[Severity]) -> None:
    ends = reserved(available=0, block=block, ends_s=NOW_S + hours * HOUR_S)
    judgement = judged(gpus(desired=desired, **MINIMAL), to, templates=TARGETED, reservations=(ends,))
    assert [finding.severity for finding in judgement] == found
    assert all("cr-1 is to be used until 2026-10-0" in finding.why for finding in judgement)


OPEN, CLOSED = SecurityGroup(id="sg-1", from_itself=True, to_itself=True), SecurityGroup(id="sg-1")


@pytest.mark.parametrize(
    ("efa", "known", "found", "says"),
    [
        (32, (OPEN,), [], ""),
        (32, (CLOSED,), [WARN], "in from and out to itself"),
        (32, (SecurityGroup(id="sg-1", from_itself=True),), [WARN], "out to itself"),
        (32, (SecurityGroup(id="sg-1", to_itself=True),), [WARN], "in from itself"),
        (32, (CLOSED, SecurityGroup(id="sg-2", from_itself=True, to_itself=True)), [], ""),
        (32, (), [], ""),
        (0, (CLOSED,), [], ""),
    ],
)
def test_security_groups_of_efa(
    efa: int, known: tuple[SecurityGroup, ...], found: list[Severity], says: str
) -> None:
    with_efa = template(efa=efa, security_groups=("sg-1", "sg-2"))
    judgement = judged(gpus(**MINIMAL), templates=(with_efa,), security_groups=known)
    assert [finding.severity for finding in judgement] == found
    assert not found or says in judgement[0].why


def test_karpenter_on_reserved_capacity() -> None:
    def node(name: str, kind: str) -> dict[str, Any]:
        labels = {
            "karpenter.sh/nodepool": "train",
            "karpenter.sh/capacity-type": kind,
            "node.kubernetes.io/instance-type": "p5.48xlarge",
        }
        return {"metadata": {"name": name, "labels": labels}}

    for kind, found in (("reserved", ["NodePool train"]), ("on-demand", [])):
        objects = Objects(nodes=nodes(node("a", kind), node("b", kind)))
        there = estate(nodegroups=(), objects=objects, read_s=NOW_S)
        assert [one.what for one in gpu_capacity.judge(there, M132)] == found
