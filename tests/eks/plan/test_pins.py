"""What is said of a node group at a minor, and cannot be."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.clock import VirtualClock
from aliquot.eks.aws.api import Failure
from aliquot.eks.estate.estate import Template
from aliquot.eks.estate.reading import from_aws
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import going_back, targets
from aliquot.eks.plan.plan import CannotPlan, Options, Pin
from aliquot.eks.plan.planning import plan
from tests.eks.fake.worlds import Account
from tests.eks.plan.estates import M131, M132, M133, NOW_S, TARGETS, at, estate, group
from tests.eks.plan.test_making import REGION, door

OURS = group("cpu", template="lt-1", template_version="3")
OWN = group("own", ami_type="CUSTOM", template="lt-2", template_version="4", release="ami-1")
ROCK = group("rock", ami_type="BOTTLEROCKET_x86_64", release="1.50.0-1a2b3c4d")
PLAIN = group("plain")
CLUSTER = estate(OURS, OWN, ROCK, PLAIN)
READ = replace(
    TARGETS,
    templates=(
        Template(id="lt-1", version="7"),
        Template(id="lt-1", version="8", image="ami-2"),
        Template(id="lt-1", version="9", gone=True),
        Template(id="lt-2", version="7", image="ami-2"),
        Template(id="lt-2", version="8"),
    ),
)
ENOUGH = (
    Pin(group="own", minor=M132, template_version="7"),
    Pin(group="rock", minor=M132, release="1.53.0-1a2b3c4d"),
)


@pytest.mark.parametrize(
    ("pin", "line"),
    [
        (
            Pin(group="cpu", minor=M132, release="1.32.9-x"),
            "--release cpu@1.32=1.32.9-x: it is no release of AL2023_x86_64_STANDARD: write it as 1.32.4-20260115",
        ),
        (
            Pin(group="cpu", minor=M132, release="1.31.0-20200101"),
            "--release cpu@1.32=1.31.0-20200101: this release is of 1.31: give one of 1.32",
        ),
        (
            Pin(group="rock", minor=M132, release="latest"),
            "--release rock@1.32=latest: it is no release of BOTTLEROCKET_x86_64: write it as 1.53.0-1a2b3c4d",
        ),
        (
            Pin(group="own", minor=M132, release="1.32.4-20260115"),
            "--release own@1.32=1.32.4-20260115: node group own has an AMI of your own, which has no release: "
            "say --template own@1.32=VERSION",
        ),
        (
            Pin(group="cpu", minor=M133, template_version="7"),
            "--template cpu@1.33=7: no node group comes to 1.33 on the way to 1.32",
        ),
        (
            Pin(group="cpu", minor=M132, template_version="$Latest"),
            "--template cpu@1.32=$Latest: give the number of a version",
        ),
        (
            Pin(group="plain", minor=M132, template_version="7"),
            "--template plain@1.32=7: node group plain has no launch template: leave it out",
        ),
        (
            Pin(group="cpu", minor=M132, template_version="9"),
            "--template cpu@1.32=9: launch template lt-1 has no version 9: "
            "aws ec2 describe-launch-template-versions --launch-template-id lt-1 lists them",
        ),
        (
            Pin(group="cpu", minor=M132, template_version="8"),
            "--template cpu@1.32=8: this version names image ami-2, and node group cpu is of AL2023_x86_64_STANDARD",
        ),
        (
            Pin(group="own", minor=M132, template_version="8"),
            "--template own@1.32=8: this version names no image, and node group own has one of your own",
        ),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_option(pin: Pin, line: str) -> None:
    with pytest.raises(CannotPlan, match=re.escape(line)) as raised:
        plan(CLUSTER, M132, READ, Options(pins=(pin, *ENOUGH)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "pin",
    [
        Pin(group="cpu", minor=M132, release="1.32.7-20260801"),
        Pin(group="cpu", minor=M132, template_version="7"),
        Pin(group="cpu", minor=M132, template_version="77"),
    ],
    ids=["a release", "a version", "a version that nobody could read"],
)
def test_what_may_be_is_planned(pin: Pin) -> None:
    assert plan(CLUSTER, M132, READ, Options(pins=(pin, *ENOUGH))).steps


def test_the_way_back_leads_to_no_version_that_is_gone() -> None:
    upgraded = SeenUpdate(
        id="u1",
        type="VersionUpdate",
        progress=Progress.SUCCESSFUL,
        created_s=NOW_S - 86400,
        parameters={"Version": "1.32"},
    )
    of = estate(replace(OURS, minor=M132), cluster=at(M132), updates=(upgraded,))
    had = Pin(group="cpu", minor=M131, template_version="9")
    with pytest.raises(CannotPlan, match=r"--template cpu@1\.31=9: launch template lt-1 has no version 9"):
        going_back.plan(of, READ, Options(pins=(had,)))


def _versions(asked: dict[str, Any]) -> dict[str, Any]:
    (version,) = asked["Versions"]
    match version:
        case "7":
            told = {"LaunchTemplateId": asked["LaunchTemplateId"], "VersionNumber": 7}
            return {"LaunchTemplateVersions": [told]}
        case "8":
            raise Failure("ec2", "DescribeLaunchTemplateVersions", "UnauthorizedOperation", "may not")
    raise Failure("ec2", "DescribeLaunchTemplateVersions", "InvalidLaunchTemplateId.VersionNotFound", "none")


async def test_versions_are_asked_for_each_by_itself() -> None:
    account = Account()
    account.world.region = REGION
    account.cluster("1.31")
    answers: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = {
        ("ec2", "DescribeLaunchTemplateVersions"): _versions
    }
    api = door(account, answers)
    of = replace(await from_aws(api, "prod", clock=VirtualClock(account.now_s)), nodegroups=(OURS, PLAIN))
    pins = (
        Pin(group="cpu", minor=M131, template_version="8"),
        Pin(group="cpu", minor=M132, template_version="7"),
        Pin(group="cpu", minor=M133, template_version="9"),
        Pin(group="plain", minor=M133, template_version="9"),
    )
    lead = await targets.read(api, of, M133, Options(pins=pins), region=REGION)
    assert [(one.version, one.gone) for one in lead.templates] == [("7", False), ("9", True)]
    assert [(one.what, one.why) for one in lead.unchecked if "launch" in one.what] == [
        ("version 8 of launch template lt-1", "may not")
    ]
