"""Plans for a fleet: `aliquot eks plan --all`, whole, against the fake of EKS over HTTP, with moto's EC2 behind it.

Beside it: a process that asks boto3 for the same things of the same clusters, one after the other, and plans nothing. And reading and
planning alone, without HTTP, in one process with the fake, which takes most of that time itself: it holds every call and every answer
against botocore's models.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aliquot.clock import SystemClock, VirtualClock
from aliquot.eks.aws.remembering import Remembering
from aliquot.eks.estate.reading import from_aws
from aliquot.eks.plan import planning, targets
from aliquot.eks.plan.plan import Options
from aliquot.eks.versions.minor import Minor
from benchmarks import eks_accounts
from benchmarks.clusters import machine
from benchmarks.measured import Run, run

CLUSTERS, GOAL_S = 100, 60

_ASKING = """\
import botocore.session, sys
session = botocore.session.Session()
def client(service):
    return session.create_client(service, region_name=sys.argv[2], endpoint_url=sys.argv[1])
eks, ec2 = client("eks"), client("ec2")
for name in eks.list_clusters()["clusters"]:
    vpc = eks.describe_cluster(name=name)["cluster"]["resourcesVpcConfig"]["vpcId"]
    for group in eks.list_nodegroups(clusterName=name)["nodegroups"]:
        eks.describe_nodegroup(clusterName=name, nodegroupName=group)
    for addon in eks.list_addons(clusterName=name)["addons"]:
        eks.describe_addon(clusterName=name, addonName=addon)
    eks.list_insights(clusterName=name)
    eks.list_updates(name=name)
    ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
"""
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def main(short: bool = False) -> None:
    clusters = 5 if short else CLUSTERS
    os.environ |= _CREDENTIALS
    now, to = eks_accounts.minors(SystemClock().now())
    print(
        f"{clusters} clusters of {now}, {eks_accounts.GROUPS} node groups and {len(eks_accounts.ADDONS)} add-ons each, "
        f"planned to {to} ({machine()})"
    )
    print(f"  goal: {CLUSTERS} under {GOAL_S} s")
    read_s, planned_s, calls = asyncio.run(_alone(clusters, Minor.parse(to)))
    with _served(clusters) as url:
        asking = run([sys.executable, "-c", _ASKING, url, eks_accounts.REGION])
        command = [sys.executable, "-m", "aliquot.cli.main", "eks", "plan", "--all", "--to", to, "--aws-only", "--allow-unchecked"]  # fmt: skip
        ours = run([*command, "--region", eks_accounts.REGION, "--endpoint-url", url])
    print(f"  {'over HTTP':<26}{'wall s':>8}{'cpu s':>8}{'MiB':>6}{'x the first':>13}")
    _row("boto3, one by one", asking, asking)
    _row("aliquot eks plan --all", ours, asking)
    print(f"  {ours.said.strip().splitlines()[-1]}")
    print(f"  without HTTP: {read_s:.1f} s to read in {calls} calls, {planned_s:.1f} s to plan")


def _row(name: str, one: Run, first: Run) -> None:
    print(
        f"  {name:<26}{one.wall_s:>8.1f}{one.cpu_s:>8.1f}{one.most_mib:>6.0f}{one.wall_s / first.wall_s:>13.2f}",
        flush=True,
    )


async def _alone(clusters: int, to: Minor) -> tuple[float, float, int]:
    direct, now_s = eks_accounts.door(clusters, SystemClock().now())
    api, clock = Remembering(direct), VirtualClock(now_s)
    began = time.perf_counter()
    estates = [await from_aws(api, eks_accounts.cluster(number), clock=clock) for number in range(clusters)]
    options = Options(allow_unchecked=True)
    leads = [await targets.read(api, estate, to, options, region=eks_accounts.REGION) for estate in estates]
    read = time.perf_counter()
    for estate, lead in zip(estates, leads, strict=True):
        planning.plan(estate, to, lead, options)
    return read - began, time.perf_counter() - read, sum(direct.calls.values())


@contextmanager
def _served(clusters: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.eks_accounts", str(clusters)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()
