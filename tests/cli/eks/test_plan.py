"""`aliquot eks plan`, as it is typed, on the fake of EKS over HTTP."""

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.eks.group import eks
from aliquot.clock import SystemClock
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.world import World
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan.plan import Pin
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.versions.for_fake import known
from aliquot.eks.versions.minor import Minor
from aliquot.windows import Window
from tests.eks.fake.serving import REGION, Clocked, credentials, served
from tests.eks.fake.worlds import MODEL, ROLE

__all__ = ["credentials"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(eks, ["plan", *arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of an account with clusters of three minors, on a server in a thread of its own; its clock stands still, at what is now."""
    started, over = threading.Event(), threading.Event()
    place: list[str] = []
    clock = Clocked()
    clock.now_s = SystemClock().now()

    async def serve() -> None:
        world = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=REGION)
        service = Service(world, MODEL)
        async with served(service, clock) as found:
            await asyncio.to_thread(_furnish, found, clock)
            place.append(found)
            started.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(60), "the fake does not start"
    yield place[0]
    over.set()
    thread.join(30)


def _furnish(url: str, clock: Clocked) -> None:
    from botocore.session import Session

    session = Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    ec2, eks_ = (session.create_client(name, region_name=REGION, endpoint_url=url) for name in ("ec2", "eks"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")[
            "Subnet"
        ]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    for name, version, wave in (("prod", "1.33", "2"), ("test", "1.34", "1"), ("dev", "1.35", "1")):
        eks_.create_cluster(
            name=name,
            version=version,
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": subnets},
            tags={"wave": wave},
        )
    clock.now_s += 900
    for name in ("prod", "test", "dev"):
        eks_.create_nodegroup(
            clusterName=name,
            nodegroupName="cpu",
            nodeRole=ROLE,
            subnets=subnets,
            instanceTypes=["m5.large"],
            scalingConfig={"minSize": 1, "maxSize": 3, "desiredSize": 2},
        )
        eks_.create_addon(clusterName=name, addonName="kube-proxy")
    clock.now_s += 600
    eks_.describe_cluster(name="prod")


def at(url: str, *arguments: str) -> Result:
    return run(*arguments, "--region", REGION, "--endpoint-url", url, "--aws-only")


def test_a_table_of_all_steps_and_what_they_come_to(url: str) -> None:
    result = at(url, "prod", "--to", "1.35")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["STEP", "EXPECTED", "CALL", "WHAT"]
    assert any(line.startswith("1.34/control-plane ") for line in lines)
    assert any(line.startswith("1.34/soak ") and "1 d" in line for line in lines)
    told = result.stdout
    assert "prod: 1.33 to 1.35, " in told
    assert (
        "disturbed by 1.34/canary-nodes/cpu: 2 nodes are replaced, 1 at a time, new ones come first" in told
    )
    assert "nodes on top while groups are rolled:" in told
    assert "not checked: gangs, and who moves: no API server was asked" in told


def test_a_plan_goes_into_its_file_and_is_taken_from_there(url: str, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    result = at(
        url,
        "prod",
        "--to",
        "1.34",
        "--out",
        str(out),
        "--window",
        "0 22 * * 6 for 6h in Europe/Berlin",
        "--release",
        "cpu@1.34=1.34.7-20260801",
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"to apply it: aliquot eks upgrade prod --plan {out}\n")
    made = plans.read(out)
    assert made.options.windows == (Window("0 22 * * 6", 6 * 3600.0, "Europe/Berlin"),)
    assert made.options.pins == (Pin(group="cpu", minor=Minor(1, 34), release="1.34.7-20260801"),)


def test_for_programs_and_for_people_who_do_it_by_hand(url: str) -> None:
    told = at(url, "prod", "--to", "1.34", "-o", "json")
    assert plans.decode(told.stdout.encode()).to == Minor(1, 34)
    steps = {step["id"]: step for step in json.loads(told.stdout)["steps"]}
    assert steps["1.34/control-plane"]["call"] == {
        "type": "call",
        "service": "eks",
        "operation": "UpdateClusterVersion",
        "parameters": {"name": "prod", "version": "1.34"},
    }
    assert steps["1.34/approve"]["call"] is None
    runbook = at(url, "prod", "--to", "1.34", "-o", "markdown").stdout
    assert runbook.startswith("# prod: 1.33 to 1.34\n")
    assert (
        f"aws eks update-cluster-version --name prod --kubernetes-version 1.34 --region {REGION}" in runbook
    )


def test_waivers_go_with_the_preflight_of_each_hop(url: str, tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.yaml"
    year = datetime.fromtimestamp(SystemClock().now(), UTC).year
    waivers.write_text(f"waivers:\n- {{check: budgets, reason: known, expires: {year + 1}-01-01}}\n")
    result = at(
        url, "prod", "--to", "1.34", "--waivers", str(waivers), "--allow-unchecked", "--helm", "-o", "json"
    )
    (preflight,) = [
        step.act for step in plans.decode(result.stdout.encode()).steps if isinstance(step.act, Preflight)
    ]
    assert preflight.unchecked_passes
    assert preflight.helm
    assert [one.check for one in preflight.waivers] == ["budgets"]


def test_a_job_that_has_to_succeed(url: str, tmp_path: Path) -> None:
    job = tmp_path / "nccl.yaml"
    job.write_text(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: nccl}\nspec: {template: {spec: {containers: []}}}\n"
    )
    result = at(url, "prod", "--to", "1.34", "--smoke", f"cpu={job}")
    assert "1.34/canary-nodes/smoke/cpu/nccl" in result.stdout
    job.write_text("kind: Pod\napiVersion: v1\n")
    refused = at(url, "prod", "--to", "1.34", "--smoke", str(job))
    assert refused.exit_code == 2
    assert "its manifest is v1 Pod: give a batch/v1 Job" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("prod", "--to", "1.99"), 4, "EKS has no 1.99"),
        (("prod", "--to", "1.32"), 4, "to go back is aliquot eks rollback"),
        (("prod", "--to", "1.34", "--no-surge", "gpu"), 4, "cluster prod has no node group gpu: it has cpu"),
        (("nowhere", "--to", "1.34"), 1, "No cluster found for name: nowhere"),
        (("--selector", "wave=9", "--to", "1.34"), 1, f"{REGION} has no EKS cluster with the tag wave=9"),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    url: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = at(url, *arguments)
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_api_server_that_does_not_answer_is_named_with_what_to_do(url: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: a, user: {}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    result = run(
        "prod", "--to", "1.34", "--region", REGION, "--endpoint-url", url, "--kubeconfig", str(config)
    )
    assert result.exit_code == 1
    assert "the API server of prod: " in result.stderr
    assert "--aws-only plans without it" in result.stderr


def test_a_fleet_has_a_row_for_each_cluster_and_a_file_for_each_plan(url: str, tmp_path: Path) -> None:
    result = at(url, "--all", "--to", "1.35", "--out", str(tmp_path / "plans"))
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert rows["prod"].split()[1:4] == ["1.33", "1.34", "1.35"]
    assert rows["test"].split()[1:3] == ["1.34", "1.35"]
    assert "there is nothing to do" in rows["dev"]
    assert result.stdout.endswith("3 clusters to 1.35: 2 planned, 1 there already, 0 without a plan\n")
    files = sorted((tmp_path / "plans").iterdir())
    assert [file.name for file in files] == ["prod.json", "test.json"]
    assert plans.read(files[0]).cluster == "prod"


def test_of_a_fleet_only_who_has_the_tag_and_who_cannot_be_planned_makes_the_code(url: str) -> None:
    result = at(url, "--selector", "wave=1", "--to", "1.34")
    assert result.exit_code == 4
    assert "2 clusters to 1.34: 0 planned, 1 there already, 1 without a plan" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "1.34"), "say what to plan for"),
        (("prod", "--all", "--to", "1.34"), "say what to plan for"),
        (("prod", "--to", "latest"), "write it as 1.32"),
        (("prod",), "Missing option '--to'"),
        (("--all", "--to", "1.34", "--kubeconfig", "x"), "are of one cluster: name it"),
        (("--all", "--to", "1.34", "--release", "a@1.34=1"), "are of one cluster: name it"),
        (("--all", "--to", "1.34", "--conflicts", "coredns=none"), "are of one cluster: name it"),
        (
            ("prod", "--to", "1.34", "--conflicts", "coredns"),
            "write it as ADDON=preserve, =overwrite or =none",
        ),
        (("--all", "--to", "1.34", "--blue-green", "a"), "are of one cluster: name it"),
        (("prod", "--to", "1.34", "--aws-only", "--blue-green", "cpu"), "leave --aws-only out"),
        (("prod", "--to", "1.34", "--drain-limit", "1s"), "--drain-limit"),
        (("prod", "--to", "1.34", "--blue-green", ""), "--blue-green"),
        (("--all", "--to", "1.34", "-o", "json"), "--out DIR writes a plan for each cluster"),
        (("prod", "--to", "1.34", "--aws-only", "--context", "x"), "leave --kubeconfig and --context out"),
        (("prod", "--to", "1.34", "--release", "cpu=1.34.1"), "write it as GROUP@MINOR=VALUE"),
        (("prod", "--to", "1.34", "--template", "cpu@new=3"), "'new' is not a Kubernetes version"),
        (("prod", "--to", "1.34", "--window", "at night"), "'SCHEDULE for DURATION [in ZONE]'"),
        (("prod", "--to", "1.34", "--window", "61 * * * * for 1h"), "schedule: '61 * * * *' is none"),
        (("prod", "--to", "1.34", "--window", "0 1 * * * for 1h in Mars"), "there is no time zone Mars"),
        (("prod", "--to", "1.34", "--soak", "long"), "long"),
        (("--selector", "wave", "--to", "1.34"), "write it as TAG=VALUE"),
    ],
)
def test_a_line_that_is_wrong(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
