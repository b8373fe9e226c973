"""Runs through the command line, against `aliquot eks fake` in a process of its own: begun, killed, gone on, held, turned, in waves."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

ALIQUOT = (sys.executable, "-m", "aliquot.cli.main")
ROLE = "arn:aws:iam::123456789012:role/eks"
_SOON_S = 60.0
SLOW, FAST = 60, 900
"""Of the fake's seconds to ours: in one a control plane takes nine seconds, in the other less than one."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass
class Aws:
    env: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=self.env["AWS_REGION"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )

    def cluster(self, name: str, version: str = "1.31", **more: Any) -> None:
        ec2, eks = self.client("ec2"), self.client("eks")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = (f"{self.env['AWS_REGION']}a", f"{self.env['AWS_REGION']}b")
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for number, zone in enumerate(zones)
        ]
        eks.create_cluster(
            name=name,
            version=version,
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": subnets},
            accessConfig={"authenticationMode": "API"},
            **more,
        )
        within(_SOON_S, lambda: eks.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE")

    def version(self, name: str) -> str:
        found: str = self.client("eks").describe_cluster(name=name)["cluster"]["version"]
        return found

    def updates(self, name: str) -> list[str]:
        eks = self.client("eks")
        ids = eks.list_updates(name=name)["updateIds"]
        return sorted(eks.describe_update(name=name, updateId=one)["update"]["type"] for one in ids)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [*ALIQUOT, "eks", *arguments]
        return subprocess.Popen(
            command, env=self.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str) -> Result:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return Result(process.returncode, out, err)

    def done(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.code == 0, (arguments, result)
        return result.out

    def plan(self, name: str, to: str, path: Path) -> str:
        self.done("plan", name, "--to", to, "--soak", "0s", "--allow-unchecked", "--out", str(path))
        return str(path)


def within(seconds: float, so: Any) -> None:
    until = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < until
        time.sleep(0.1)


def fake(tmp_path: Path, speed: int) -> Iterator[Aws]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "ALIQUOT_EKS_DATA": str(tmp_path / "data"),
    }
    command = [*ALIQUOT, "eks", "fake", "--start", "2026-10-01", "--speed", str(speed)]
    process = subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        told = ""
        while told.count("AWS_") < 4:
            line = process.stdout.readline()
            assert line, told
            told += line
        yield Aws({**env, **dict(re.findall(r"(AWS_\w+)=(\S+)", told))})
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Aws]:
    yield from fake(tmp_path, FAST)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Aws]:
    yield from fake(tmp_path, SLOW)


POLL = ("--poll", "0.3")


def test_it_is_killed_goes_on_and_comes_back(slow: Aws, tmp_path: Path) -> None:
    slow.cluster("prod")
    plan = slow.plan("prod", "1.32", tmp_path / "plan.json")

    held = slow.run("upgrade", "prod", "--plan", plan, *POLL)
    assert held.code == 3
    assert "nobody has approved it yet" in held.err
    assert "aliquot eks approve prod" in held.err
    assert "is approved by" in slow.done("approve", "prod")

    killed = slow.start("upgrade", "prod", *POLL)
    within(_SOON_S, lambda: slow.updates("prod") == ["VersionUpdate"])
    killed.kill()
    killed.communicate()
    # Whoever was killed cannot say so: its lease has to be over, or be taken by somebody who knows.
    assert "drives it" in slow.done("status", "prod")
    other = slow.run("upgrade", "prod", *POLL)
    assert other.code == 1
    assert "works on" in other.err
    slow.done("upgrade", "prod", "--take-over", *POLL)
    assert slow.version("prod") == "1.32"
    assert slow.updates("prod") == ["VersionUpdate"]

    steps = json.loads(slow.done("status", "prod", "-o", "json"))
    assert steps["is"] == "done"
    assert {one["phase"] for one in steps["steps"]} == {"done"}
    assert "UpdateClusterVersion" in slow.done("status", "prod", "--log")

    assert "back-to-1.31/control-plane" in slow.done("rollback", "prod", "--dry-run")
    assert slow.version("prod") == "1.32"
    slow.done("rollback", "prod", "--yes", *POLL)
    assert slow.version("prod") == "1.31"
    assert slow.updates("prod") == ["VersionRollback", "VersionUpdate"]
    again = slow.run("rollback", "prod", "--yes")
    assert again.code == 1
    assert "cannot go back to 1.30" in again.err


def test_what_people_say_of_a_run(fast: Aws, tmp_path: Path) -> None:
    fast.cluster("prod")
    plan = fast.plan("prod", "1.32", tmp_path / "plan.json")
    assert "prod in eu-west-1 has no run that goes on" in fast.run("upgrade", "prod").err
    assert "prod has no run that goes on" in fast.run("pause", "prod", "--reason", "x").err
    assert "prod has had no run" in fast.run("status", "prod").err
    fast.cluster("stage")
    assert "it is of cluster prod, not of stage" in fast.run("upgrade", "stage", "--plan", plan).err

    fast.run("upgrade", "prod", "--plan", plan, *POLL)
    fast.done("pause", "prod", "--reason", "a launch tonight")
    assert "paused" in fast.done("status")
    fast.done("approve", "prod")
    paused = fast.run("upgrade", "prod", *POLL)
    assert paused.code == 3
    assert "a launch tonight" in paused.err
    fast.done("resume", "prod")
    assert "is not paused" in fast.run("resume", "prod").err
    assert "no step of" in fast.run("retry", "prod").err
    stopped = fast.done("abort", "prod", "--yes", *POLL)
    assert "is aborted" in stopped
    assert fast.version("prod") == "1.31"
    assert fast.updates("prod") == []
    over = fast.run("upgrade", "prod", "--plan", plan, *POLL)
    assert over.code == 1
    assert "is over: aborted" in over.err

    # The cluster is not as it was when this was planned.
    plan = fast.plan("prod", "1.32", tmp_path / "later.json")
    assert fast.run("upgrade", "prod", "--plan", plan, *POLL).code == 3
    # A yes to what is held for want of one: it goes on at once.
    fast.done("upgrade", "prod", "--yes", *POLL)
    refused = fast.run("upgrade", "prod", "--plan", str(tmp_path / "plan.json"))
    assert refused.code == 1
    assert "cluster: version: it was 1.31, it is 1.32" in refused.err

    broken = tmp_path / "broken.json"
    broken.write_text(Path(plan).read_text().replace('"1.32"', '"1.33"'))
    assert "plan anew" in fast.run("upgrade", "prod", "--plan", str(broken)).err


def test_a_fleet_goes_in_waves(fast: Aws, tmp_path: Path) -> None:
    for name, wave in (("dev", "1"), ("stage", "2")):
        fast.cluster(name, tags={"aliquot.dev/wave": wave})
    plans = tmp_path / "plans"
    fast.done("plan", "--all", "--to", "1.32", "--soak", "0s", "--allow-unchecked", "--out", str(plans))
    shown = fast.done("fleet", "--plans", str(plans), "--dry-run")
    assert re.search(r"1\s+dev\s+to come\n2\s+stage\s+to come", shown)
    held = fast.run("fleet", "--plans", str(plans), *POLL)
    assert held.code == 3
    assert "held: dev;" in held.err
    assert (fast.version("dev"), fast.version("stage")) == ("1.31", "1.31")
    fast.done("approve", "dev")
    went = fast.run("fleet", "--plans", str(plans), *POLL)
    assert went.code == 3
    assert "held: stage;" in went.err
    assert (fast.version("dev"), fast.version("stage")) == ("1.32", "1.31")
    fast.done("approve", "stage")
    assert re.search(r"1\s+dev\s+done\n2\s+stage\s+done", fast.done("fleet", "--plans", str(plans), *POLL))
    assert fast.version("stage") == "1.32"
