"""A plan may be applied until something that it rests on is another, and it is said what."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Addon, Estate, Reservation, Template
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import hashing
from aliquot.eks.plan.plan import Options, Plan
from aliquot.eks.plan.planning import plan
from tests.eks.plan.estates import (
    M132,
    NOW_S,
    TARGETS,
    addon,
    at,
    estate,
    gpus,
    group,
    node,
    objects,
    server,
    worker,
)

NODES = [node("a", "gpu-a"), node("b", "gpu-b")]


FARGATE = {"metadata": {"name": "f", "labels": {"eks.amazonaws.com/compute-type": "fargate"}}}


def before() -> Estate:
    return estate(group("web"), gpus("gpu-a"), gpus("gpu-b"), objects=objects(NODES, [server("web-0", "a")]))


def made() -> Plan:
    return plan(before(), M132, TARGETS, Options())


def with_group(**more: Any) -> Estate:
    first, *rest = before().nodegroups
    return replace(before(), nodegroups=(replace(first, **more), *rest))


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (replace(before(), cluster=at(M132)), ["cluster: version: it was 1.31, it is 1.32"]),
        (
            replace(before(), cluster=replace(before().cluster, platform="eks.31")),
            ["cluster: platform version: it was eks.30, it is eks.31"],
        ),
        (
            with_group(release="1.31.6-20260201"),
            ["node group web: release: it was 1.31.5-20260101, it is 1.31.6-20260201"],
        ),
        (with_group(maximum=9), ["node group web: sizes: it was 0 to 5, it is 0 to 9"]),
        (
            with_group(most_unavailable_percentage=50),
            ["node group web: update strategy: it was DEFAULT, 1 at once, it is DEFAULT, 50 % at once"],
        ),
        (
            with_group(template="lt-1", template_version="2"),
            ["node group web: launch template: it was not there, it is lt-1 2"],
        ),
        (
            replace(
                before(),
                addons=(addon("coredns"), replace(addon("kube-proxy"), configuration='{"mode": "ipvs"}')),
            ),
            ['add-on kube-proxy: configuration: it was not there, it is {"mode": "ipvs"}'],
        ),
        (
            replace(before(), addons=(addon("coredns"), replace(addon("kube-proxy"), role_arn="arn:r"))),
            ["add-on kube-proxy: role: it was not there, it is arn:r"],
        ),
        (
            replace(before(), addons=(*before().addons, Addon(name="vpc-cni", build="v1"))),
            ["add-on vpc-cni: build: it was not there, it is v1"],
        ),
        (
            replace(
                before(),
                updates=(
                    SeenUpdate(
                        id="u-1", type="VersionUpdate", progress=Progress.IN_PROGRESS, created_s=NOW_S
                    ),
                ),
            ),
            ["updates in progress: it was not there, it is u-1"],
        ),
        (
            replace(before(), objects=objects([*NODES, FARGATE], [server("web-0", "a")])),
            ["workloads on Fargate: it was not there, it is yes"],
        ),
        (
            replace(before(), objects=objects(NODES, [worker("train", 0, "a"), worker("train", 1, "b")])),
            [
                "node groups that gangs tie together: it was not there, it is gpu-a+gpu-b",
                "node groups with GPUs where nothing but gangs runs: it was not there, it is gpu-a, gpu-b",
            ],
        ),
    ],
)
def test_what_is_another_is_named_with_what_it_was_and_is(after: Estate, lines: list[str]) -> None:
    assert [str(one) for one in hashing.differs(made(), after)] == lines
    assert hashing.hashed(hashing.state(after)) != made().state_hash


@pytest.mark.parametrize(
    "after",
    [
        before(),
        with_group(desired=4),
        with_group(labels={"team": "ml"}),
        replace(before(), read_s=NOW_S + 3600),
        replace(before(), nodegroups=before().nodegroups[::-1], addons=before().addons[::-1]),
        replace(before(), objects=objects(NODES, [server("web-7", "b")])),
        replace(
            before(),
            updates=(
                SeenUpdate(id="u-1", type="AddonUpdate", progress=Progress.SUCCESSFUL, created_s=NOW_S),
            ),
        ),
    ],
)
def test_what_decides_no_step_is_no_difference(after: Estate) -> None:
    assert hashing.differs(made(), after) == ()
    assert hashing.hashed(hashing.state(after)) == made().state_hash


def test_a_reservation_that_has_filled_up_changes_how_its_group_is_rolled() -> None:
    def reserved(available: int) -> Estate:
        return estate(
            gpus("gpu", template="lt-1", template_version="3"),
            templates=(Template(id="lt-1", version="3", reservation="cr-1"),),
            reservations=(Reservation(id="cr-1", instance_type="p5.48xlarge", total=8, available=available),),
        )

    planned = plan(reserved(4), M132, TARGETS, Options())
    assert [str(one) for one in hashing.differs(planned, reserved(3))] == [
        "node group gpu: capacity beside what it has: it was enough, it is none"
    ]
    assert not hashing.differs(planned, reserved(5))
