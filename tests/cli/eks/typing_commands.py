"""What is typed against an `aliquot eks fake` that several tests share: each has clusters and journals of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from boto3.session import Session
from click.testing import CliRunner

from aliquot.cli.eks.group import eks

ALIQUOT = (sys.executable, "-m", "aliquot.cli.main")
ROLE = "arn:aws:iam::123456789012:role/eks"
SOON_S = 60.0
SLOW, FAST = 60, 900
"""Of the fake's seconds to ours: in one a control plane takes nine seconds, in the other less than one."""
POLL = ("--poll", "0.3")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Aws:
    env: dict[str, str]
    clients: dict[str, Any] = field(default_factory=dict)

    def with_runs_in(self, directory: Path) -> "Aws":
        return replace(self, env={**self.env, "ALIQUOT_EKS_DATA": str(directory / "data")})

    def client(self, service: str) -> Any:
        if service not in self.clients:
            session = Session(self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"])
            self.clients[service] = session.client(
                service, endpoint_url=self.env["AWS_ENDPOINT_URL"], region_name=self.env["AWS_REGION"]
            )
        return self.clients[service]

    def cluster(self, name: str, version: str = "1.31", **more: Any) -> None:
        ec2, eks_ = self.client("ec2"), self.client("eks")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = (f"{self.env['AWS_REGION']}a", f"{self.env['AWS_REGION']}b")
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"][
                "SubnetId"
            ]
            for number, zone in enumerate(zones)
        ]
        eks_.create_cluster(
            name=name,
            version=version,
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": subnets},
            accessConfig={"authenticationMode": "API"},
            **more,
        )
        within(SOON_S, lambda: eks_.describe_cluster(name=name)["cluster"]["status"] == "ACTIVE")

    def version(self, name: str) -> str:
        found: str = self.client("eks").describe_cluster(name=name)["cluster"]["version"]
        return found

    def updates(self, name: str) -> list[str]:
        eks_ = self.client("eks")
        ids = eks_.list_updates(name=name)["updateIds"]
        return sorted(eks_.describe_update(name=name, updateId=one)["update"]["type"] for one in ids)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """In a process of its own, to be killed."""
        command = [*ALIQUOT, "eks", *arguments]
        return subprocess.Popen(
            command, env=_environment(self.env), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str) -> Result:
        """In this process: to start one takes longer than most commands do."""
        others = dict.fromkeys(name for name in os.environ if name.startswith("AWS_"))
        told = CliRunner().invoke(eks, arguments, env={**others, **self.env}, catch_exceptions=False)
        return Result(told.exit_code, told.stdout, told.stderr)

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


def _environment(more: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | more


@contextmanager
def fake(speed: int) -> Iterator[Aws]:
    env = {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        # Nobody here makes roles.
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "false",
    }
    command = [*ALIQUOT, "eks", "fake", "--start", "2026-10-01", "--speed", str(speed)]
    process = subprocess.Popen(
        command, env=_environment(env), text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
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
