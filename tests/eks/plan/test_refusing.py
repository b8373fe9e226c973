import re
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan.plan import CannotPlan, Options, Pin
from aliquot.eks.plan.planning import plan
from aliquot.eks.plan.targets import Targets
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions import calendar
from aliquot.eks.versions.minor import Minor
from tests.eks.plan.estates import (
    M130,
    M131,
    M132,
    NOW_S,
    TARGETS,
    addon,
    at,
    builds,
    estate,
    group,
)

RUNNING = SeenUpdate(id="u-1", type="AddonUpdate", progress=Progress.IN_PROGRESS, created_s=NOW_S)
LATER_S = datetime(2026, 11, 29, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("of", "to", "line"),
    [
        (estate(), Minor(1, 99), "EKS has no 1.99: the newest that EKS offers is 1.37"),
        (estate(), Minor(2, 0), "nothing is known of a way from 1.31 to 2.0"),
        (
            estate(read_s=NOW_S - 86400),
            Minor(1, 37),
            "EKS has 1.37 from 2026-10-01 on: the newest that EKS offers is 1.36",
        ),
        (
            estate(cluster=at(M130), read_s=LATER_S),
            M131,
            "support of 1.31 ended on 2026-11-26: the newest that EKS offers is 1.37",
        ),
        (estate(), M130, "an upgrade leads on; to go back is aliquot eks rollback"),
        (
            estate(cluster=at(M132), addons=()),
            M132,
            "is at 1.32, and so is all of it: there is nothing to do",
        ),
        (
            estate(cluster=at(M131, status="UPDATING")),
            M132,
            "cluster prod is UPDATING: plan once it is ACTIVE",
        ),
        (estate(updates=(RUNNING,)), M132, "has update u-1 (AddonUpdate) in progress: plan once it is over"),
        (estate(cluster=at(M131, auto_mode=True)), M132, "is of Auto Mode"),
        (
            estate(group("web", status="CREATING")),
            M132,
            "node group web of cluster prod is CREATING: plan once it is ACTIVE",
        ),
        (
            estate(addons=(replace(addon("coredns"), status="UPDATING"),)),
            M132,
            "add-on coredns of cluster prod is UPDATING: plan once it is ACTIVE",
        ),
        (
            estate(
                unchecked=(Unchecked(what="node groups", why="the permission eks:ListNodegroups is missing"),)
            ),
            M132,
            "node groups of cluster prod could not be read: the permission eks:ListNodegroups is missing",
        ),
        (
            estate(addons=(addon("coredns"),), builds=builds("coredns", ("v1", [M131], [M131]))),
            M132,
            "EKS has no build of the add-on coredns for 1.32",
        ),
        (estate(group("own", ami_type="CUSTOM")), M132, "(--template own@1.32=VERSION)"),
        (
            estate(group("win", ami_type="WINDOWS_FULL_2025_x86_64")),
            M132,
            "node group win is of WINDOWS_FULL_2025_x86_64, of which AWS publishes no release that is known here: say which (--release win@1.32=RELEASE)",
        ),
        (
            estate(group("old", ami_type="AL2_x86_64")),
            M132,
            "AWS publishes no release of AL2_x86_64 for 1.32",
        ),
    ],
)
def test_what_there_is_no_plan_for_is_one_line_that_says_what_to_do(of: Estate, to: Minor, line: str) -> None:
    with pytest.raises(CannotPlan, match=re.escape(line)) as raised:
        plan(of, to, TARGETS, Options())
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "options", [{"no_surge": ("wbe",)}, {"pins": (Pin(group="wbe", minor=M132, release="1"),)}]
)
def test_options_of_a_group_that_is_not_there_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(CannotPlan, match="has no node group wbe: it has web"):
        plan(estate(group("web")), M132, TARGETS, Options(**options))


def test_a_template_for_a_group_that_has_none_is_refused() -> None:
    pins = (Pin(group="web", minor=M132, template_version="3"),)
    with pytest.raises(
        CannotPlan, match=r"--template web@1\.32=3: node group web has no launch template: leave it out"
    ):
        plan(estate(group("web")), M132, TARGETS, Options(pins=pins))


def test_a_release_that_could_not_be_read_says_why() -> None:
    denied = Targets(
        unchecked=(
            Unchecked(what="release of AL2023_x86_64_STANDARD 1.32", why="ssm:GetParameter is missing"),
        )
    )
    with pytest.raises(CannotPlan, match=r"could not be read .ssm:GetParameter is missing.: say which"):
        plan(estate(group("web")), M132, denied, Options())


def test_a_minor_that_this_region_does_not_list_is_refused() -> None:
    told = replace(calendar.shipped(), told=(M131,))
    with pytest.raises(CannotPlan, match=r"EKS does not list 1\.32 in this region"):
        plan(estate(calendar=told), M132, TARGETS, Options())
