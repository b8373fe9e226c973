"""One cluster of the fake: an emulated Kubernetes behind an address of its own, whose minor and machines EKS decides.

What is wanted is kept here as data; `run` looks at it again and again and does what is still to be done, so that an API server that
is on its way to another minor, or refuses something for a moment, costs nothing but time.
"""

import asyncio
import contextlib
import random
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from aliquot.admission import installation as admission
from aliquot.cli import identities, pod_networks
from aliquot.cli.cluster import Cluster
from aliquot.cli.control_plane import ControlPlane
from aliquot.cli.driver_times import as_long_as_real
from aliquot.cli.eks.fake import addon_workloads, draining, ec2_machines, managed
from aliquot.cli.eks.fake.aws_identities import AccessPolicies, AwsTokens, Find, Identify
from aliquot.cli.eks.fake.changing_api import ChangingApi
from aliquot.cli.joined_kubelets import JoinedKubelets
from aliquot.cli.parts import Parts, in_memory
from aliquot.cli.supervisor import Supervisor
from aliquot.clock import Clock
from aliquot.eks.fake.fleet import Machine
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.deprecated_requests import Use
from aliquot.emulator.kubelet.node_pods import BY_NODE
from aliquot.emulator.network import HttpsNetwork
from aliquot.emulator.rbac import Rule
from aliquot.emulator.server import HttpsServer, write_kubeconfig
from aliquot.emulator.storage.store import Store
from aliquot.emulator.versions import Surface
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.resources import NODES

_LOOK_S = 0.5
_log = structlog.get_logger(__name__)


class EksCluster:
    """Binds its port at once; what asks it before `run` has it up waits. `builds` are those of the
    add-ons that are there without being managed, `find` gives what EKS knows of the cluster, `identify` whose an access key is. Raises CertificateError, ServerError and UnknownVersion."""

    def __init__(
        self,
        name: str,
        minor: str,
        directory: Path,
        *,
        region: str,
        clock: Clock,
        builds: Mapping[str, str],
        find: Find,
        identify: Identify,
    ) -> None:
        self.name = name
        self.kubeconfig = directory / "kubeconfig"
        """Of an administrator, beside AWS' own ways."""
        self.is_up = False
        """Everything runs, and what every cluster has is there."""
        self._region = region
        self._clock = clock
        self._surface = Surface(minor)
        self._unmanaged = dict(builds)
        self._find, self._identify = find, identify
        self._authority = Authority(directory / "pki", clock=clock)
        self._store = Store()
        self._network = HttpsNetwork()
        self._kubelets = JoinedKubelets()
        self._api = ChangingApi(self._server_of, clock=clock, network=self._network)
        self._server = HttpsServer(self._api, self._authority)
        parts = Parts(in_memory(self._api.app), clock=clock, seed=secrets.randbits(64))
        self._control_plane = ControlPlane(parts, surface=self._surface, authority=self._authority)
        self._cluster = Cluster(parts, (), control_plane=self._control_plane, run_blocking=as_long_as_real)
        self._kubelets.fleet = self._cluster.fleet
        self._installer = parts.client("eks", identities.INSTALLER)
        self._manager = parts.client("eks-node-manager", managed.NODE_MANAGER)
        self._pod_networks = pod_networks.CLUSTER_NETWORK.subnets(new_prefix=pod_networks.NODE_PREFIX_BITS)
        # What is wanted.
        self._machines: dict[str, Machine] = {}
        self._cordoned: set[str] = set()
        self._emptied: dict[str, bool] = {}
        """By name, whether by force."""
        # What has been done.
        self._served = self._surface
        self._joined: dict[str, Machine] = {}
        """As it was when its node was last made like it."""
        self._closed_by_us: set[str] = set()
        self._builds: dict[str, str] = {}
        self._wanted = asyncio.Event()

    # ---- what EKS wants --------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> tuple[str, str]:
        """(URL, certificate authority)"""
        return self._server.url, b64encode(self._authority.certificate).decode()

    def become(self, minor: str) -> None:
        self._surface = Surface(minor)
        self._wanted.set()

    def launch(self, machine: Machine) -> None:
        """Of one that is there already: its labels and taints are these from now on."""
        self._machines[machine.name] = machine
        self._wanted.set()

    def terminate(self, name: str) -> None:
        self._machines.pop(name, None)
        self._cordoned.discard(name)
        self._emptied.pop(name, None)
        self._wanted.set()

    def cordon(self, name: str) -> None:
        self._cordoned.add(name)
        self._wanted.set()

    def uncordon(self, name: str) -> None:
        self._cordoned.discard(name)
        self._emptied.pop(name, None)
        self._wanted.set()

    def drain(self, name: str, *, force: bool) -> None:
        self._emptied[name] = force
        self._wanted.set()

    # ---- what it sees ----------------------------------------------------------------------------------------

    def is_ready(self, name: str) -> bool:
        node = self._node(name)
        return node is not None and any(
            one.type == "Ready" and one.status == "True" for one in node.status.conditions or ()
        )

    def is_drained(self, name: str) -> bool:
        """Nothing is there any more, and nothing can come."""
        node = self._node(name)
        if node is None:
            return True
        return node.spec.unschedulable and not draining.in_the_way(self._pods(name))

    def pods_without_group(self) -> Sequence[Pod]:
        """Those that wait for a node, and those that have one of Fargate."""
        fargate = {name for name, machine in self._machines.items() if machine.profile}
        return [
            pod
            for pod in self._cluster.pods.values()
            if not pod.status.has_ended
            and (not pod.spec.node_name or pod.spec.node_name in fargate)
            and not draining.is_a_daemon(pod)
        ]

    def uses(self) -> Sequence[Use]:
        return self._api.uses()

    # ---- its life --------------------------------------------------------------------------------------------

    async def run(self, up: Callable[[], None]) -> None:
        """Until cancelled. `up` is called once everything runs. Raises StoreError and ApiError where it cannot begin."""
        try:
            async with self._server:
                await self._api.become(self._served)
                write_kubeconfig(
                    self.kubeconfig,
                    url=self._server.url,
                    authority=self._authority.certificate,
                    user="kubernetes-admin",
                    client=self._authority.client("kubernetes-admin", ["system:masters"]),
                )
                try:
                    async with asyncio.TaskGroup() as group:
                        supervisor = await self._cluster.run(group)
                        await managed.install(self._installer)
                        await self._follow_addons()
                        self.is_up = True
                        up()
                        while True:
                            await self._look(supervisor)
                finally:
                    await self._cluster.close()
        finally:
            self._store.close()

    async def _look(self, supervisor: Supervisor) -> None:
        self._wanted.clear()
        try:
            if self._surface != self._served:
                await self._change(supervisor)
            await self._follow_addons()
            await self._follow_machines(supervisor)
            for name in self._joined.keys() & self._machines.keys():
                # It may have gone while another was followed.
                machine, node = self._machines.get(name), self._node(name)
                if machine is not None and node is not None:
                    await self._follow_node(machine, node)
        except errors.ApiError as error:
            _log.warning("asked again", cluster=self.name, error=str(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._wanted.wait()

    async def _change(self, supervisor: Supervisor) -> None:
        surface = self._surface
        gone = await self._api.become(surface)
        if gone:
            _log.warning(
                "objects of kinds that are not served any more are gone", cluster=self.name, count=gone
            )
        await self._control_plane.become(surface, supervisor)
        self._served = surface
        # What depends on the minor, as at the start.
        await admission.install_policies(self._installer)

    async def _follow_addons(self) -> None:
        """What an add-on that is deleted had stays as it is. Raises ApiError."""
        cluster = self._find()
        managed_ = {
            name: str(addon.told["addonVersion"])
            for name, addon in (cluster.addons if cluster is not None else {}).items()
            if addon.told["status"] == "ACTIVE"
        }
        wanted = {**self._unmanaged, **self._builds, **managed_}
        changed = {name: build for name, build in wanted.items() if self._builds.get(name) != build}
        await addon_workloads.apply(self._installer, changed, self._region)
        self._builds = wanted

    async def _follow_machines(self, supervisor: Supervisor) -> None:
        """Raises ApiError."""
        for name in self._machines.keys() - self._joined.keys():
            network = str(next(self._pod_networks))
            node = ec2_machines.emulate(self._machines[name], region=self._region, pod_network=network)
            self._cluster.join(node, supervisor)
            self._joined[name] = self._machines[name]
        for name in self._joined.keys() - self._machines.keys():
            if name in self._cluster.nodes:
                await self._cluster.leave(name, supervisor)
            with contextlib.suppress(errors.NotFound):
                await self._manager.delete(NODES, name)
            await draining.remove(self._manager, self._pods(name))
            self._closed_by_us.discard(name)
            del self._joined[name]

    async def _follow_node(self, machine: Machine, node: Node) -> None:
        """Raises ApiError."""
        name = machine.name
        if not node.spec.provider_id:
            where = f"aws:///{machine.zone}/{machine.instance_id}"
            await self._manager.patch(NODES, name, {"spec": {"providerID": where}})
        if (before := self._joined[name]) != machine:
            await self._manager.patch(NODES, name, managed.relabelled(before, machine, node))
            self._joined[name] = machine
        if name in self._cordoned and not node.spec.unschedulable:
            await self._manager.patch(NODES, name, {"spec": {"unschedulable": True}})
            self._closed_by_us.add(name)
        elif name in self._closed_by_us - self._cordoned:
            await self._manager.patch(NODES, name, {"spec": {"unschedulable": None}})
            self._closed_by_us.discard(name)
        if machine.profile and self.is_ready(name):
            await self._bind(machine)
        if name in self._emptied:
            pods = draining.in_the_way(self._pods(name))
            await draining.evict(self._manager, pods, force=self._emptied[name])

    async def _bind(self, machine: Machine) -> None:
        """A node of Fargate has the one pod that it was made for, by EKS' own scheduler. Raises ApiError."""
        namespace, name = machine.pod
        pod = self._cluster.pods.get(f"{namespace}/{name}")
        if pod is not None and not pod.spec.node_name:
            with contextlib.suppress(errors.Conflict, errors.NotFound):
                await self._manager.bind(namespace, name, machine.name, pod_uid=pod.metadata.uid)

    # ---- parts -----------------------------------------------------------------------------------------------

    def _server_of(self, surface: Surface) -> ApiServer:
        server: ApiServer

        def rules_of(role: str) -> Sequence[Rule]:
            return server.authorizer.role_rules({"kind": "ClusterRole", "name": role}, "")

        server = ApiServer(
            self._store,
            clock=self._clock,
            rng=random.Random(secrets.randbits(64)),
            surface=surface,
            token_key=self._authority.token_key,
            client_authority=self._authority.for_clients,
            logs=self._kubelets.logs,
            kubelets=self._kubelets,
            network=self._network,
            git_version=f"v{surface.version}.0-eks-fake",
            token_sources=(AwsTokens(self._find, self._identify),),
            authorizers=(AccessPolicies(self._find, rules_of),),
        )
        return server

    def _node(self, name: str) -> Node | None:
        return self._cluster.node_objects.get(name)

    def _pods(self, node: str) -> Sequence[Pod]:
        return self._cluster.pods.indexed(BY_NODE, node)
