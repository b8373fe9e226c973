"""The fake's `Fleet`: behind each of its clusters an emulated Kubernetes, in this process."""

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path

from aliquot.cli.eks.fake.addon_workloads import SELF_MANAGED
from aliquot.cli.eks.fake.aws_identities import Identify
from aliquot.cli.eks.fake.aws_time import AwsTime
from aliquot.cli.eks.fake.eks_cluster import EksCluster
from aliquot.eks.fake import world
from aliquot.eks.fake.fleet import Machine, Pod, Requested
from aliquot.eks.fake.known import Known
from aliquot.eks.fake.refusals import wrong
from aliquot.emulator.versions import SUPPORTED

_KEPT_S = 30 * 86400

Say = Callable[[str], None]
FindCluster = Callable[[str], world.Cluster | None]


class EmulatedFleet:
    """Each cluster has a directory of its name below `directory`. `find` gives what EKS knows of one, `identify` whose an access
    key is. Clusters live in the task group that `run` opens: nothing may be asked for before."""

    def __init__(
        self,
        directory: Path,
        *,
        region: str,
        aws_time: AwsTime,
        known: Known,
        find: FindCluster,
        identify: Identify,
        say: Say,
    ) -> None:
        self._directory = directory
        self._region = region
        self._aws_time = aws_time
        self._known = known
        self._find = find
        self._identify = identify
        self._say = say
        self._clusters: dict[str, EksCluster] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self, began: asyncio.Event) -> None:
        """Until cancelled. What ends a cluster that was not deleted ends this too, with its error."""
        async with asyncio.TaskGroup() as self._group:
            began.set()
            await asyncio.Event().wait()

    def control_plane(self, cluster: str, minor: str) -> None:
        """Raises Refused for a minor that is not emulated."""
        if minor not in SUPPORTED:
            raise wrong(f"unsupported Kubernetes version: the emulator has {', '.join(SUPPORTED)}")
        if cluster in self._clusters:
            self._clusters[cluster].become(minor)
            return
        if self._group is None:
            raise RuntimeError("a cluster before the fleet runs")
        directory = self._directory / cluster
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = self._clusters[cluster] = EksCluster(
            cluster,
            minor,
            directory,
            region=self._region,
            clock=self._aws_time.clock,
            builds={
                addon: build.version
                for addon in SELF_MANAGED
                if (build := self._known.default_build(addon, minor)) is not None
            },
            find=functools.partial(self._find, cluster),
            identify=self._identify,
        )
        url, _ = made.endpoint
        up = functools.partial(self._say, f"cluster {cluster}: {url}, KUBECONFIG={made.kubeconfig}")
        self._lives[cluster] = self._group.create_task(made.run(up), name=f"cluster {cluster}")

    def endpoint(self, cluster: str) -> tuple[str, str]:
        return self._clusters[cluster].endpoint

    def serves(self, cluster: str) -> bool:
        return self._clusters[cluster].is_up

    def delete(self, cluster: str) -> None:
        del self._clusters[cluster]
        self._lives.pop(cluster).cancel()
        self._say(f"cluster {cluster}: deleted")

    def launch(self, machine: Machine) -> None:
        self._clusters[machine.cluster].launch(machine)

    def change(self, machine: Machine) -> None:
        self._clusters[machine.cluster].launch(machine)

    def terminate(self, machine: Machine) -> None:
        self._clusters[machine.cluster].terminate(machine.name)

    def ready(self, machine: Machine) -> bool:
        return self._clusters[machine.cluster].is_ready(machine.name)

    def cordon(self, machine: Machine) -> None:
        self._clusters[machine.cluster].cordon(machine.name)

    def uncordon(self, machine: Machine) -> None:
        self._clusters[machine.cluster].uncordon(machine.name)

    def drain(self, machine: Machine, *, force: bool) -> None:
        self._clusters[machine.cluster].drain(machine.name, force=force)

    def drained(self, machine: Machine) -> bool:
        return self._clusters[machine.cluster].is_drained(machine.name)

    def pods(self, cluster: str) -> tuple[Pod, ...]:
        return tuple(
            Pod(namespace=pod.metadata.namespace, name=pod.metadata.name, labels=pod.metadata.labels or {})
            for pod in self._clusters[cluster].pods_without_group()
        )

    def requested(self, cluster: str) -> tuple[Requested, ...]:
        since_s = self._aws_time.now() - _KEPT_S
        found: dict[tuple[str, str, str, str], Requested] = {}
        for use in self._clusters[cluster].uses():
            last_s = self._aws_time.at(use.last_s)
            key = (use.group, use.version, use.resource, use.user_agent)
            times = use.times + (found[key].times if key in found else 0)
            if last_s >= since_s:
                found[key] = Requested(
                    group=use.group,
                    version=use.version,
                    resource=use.resource,
                    user_agent=use.user_agent,
                    times=times,
                    last_s=last_s,
                )
        return tuple(found.values())
