"""All controllers together, over shared caches."""

import asyncio
import random
from typing import Any

from aliquot.clock import Clock
from aliquot.emulator.certificates import Authority
from aliquot.emulator.controllers import credentials, ownership, pods
from aliquot.emulator.controllers.api_services import ApiServices
from aliquot.emulator.controllers.autoscalers import Autoscalers
from aliquot.emulator.controllers.cluster_roles import CLUSTERROLES, ClusterRoles
from aliquot.emulator.controllers.cron_jobs import CronJobs
from aliquot.emulator.controllers.daemon_sets import DaemonSets
from aliquot.emulator.controllers.deployments import Deployments
from aliquot.emulator.controllers.disruption import Disruption
from aliquot.emulator.controllers.endpoints import SERVICE_INDEXES, SLICE_INDEXES, ServiceEndpoints
from aliquot.emulator.controllers.ephemeral_claims import EphemeralClaims
from aliquot.emulator.controllers.event_ttl import EventTimes, EventTtl
from aliquot.emulator.controllers.evictions import Evictions
from aliquot.emulator.controllers.finished_jobs import FinishedJobs
from aliquot.emulator.controllers.garbage import Garbage
from aliquot.emulator.controllers.jobs import Jobs
from aliquot.emulator.controllers.kinds import Crd, Kinds
from aliquot.emulator.controllers.namespaces import ROOT_CA, Namespaces
from aliquot.emulator.controllers.nodes import LEASE_NAMESPACE, Nodes
from aliquot.emulator.controllers.pod_garbage import PodGarbage
from aliquot.emulator.controllers.replica_sets import ReplicaSets
from aliquot.emulator.controllers.resource_quotas import ResourceQuotas
from aliquot.emulator.controllers.service_types import Endpoints, EndpointSlice, Service
from aliquot.emulator.controllers.stale_disruptions import StaleDisruptions
from aliquot.emulator.controllers.stateful_sets import StatefulSets
from aliquot.emulator.controllers.types import (
    ApiService,
    ControllerRevision,
    CronJob,
    DaemonSet,
    Deployment,
    DisruptionBudget,
    HorizontalPodAutoscaler,
    Job,
    MetadataOnly,
    Namespace,
    ReplicaSet,
    ReplicationController,
    ResourceQuota,
    StatefulSet,
)
from aliquot.emulator.controllers.volume_protection import VolumeProtection
from aliquot.emulator.controllers.volumes import Volumes
from aliquot.emulator.kinds import storage_classes
from aliquot.emulator.versions import STANDARD, Surface
from aliquot.kube.api.core import ConfigMap, Lease, Node, Pod
from aliquot.kube.api.storage import Claim, StorageClass, Volume
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.resources import (
    APISERVICES,
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    CRDS,
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    HORIZONTALPODAUTOSCALERS,
    JOBS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    STORAGECLASSES,
)


async def run_all(
    client: Client,
    clock: Clock,
    rng: random.Random,
    *,
    root_ca_pem: str = "",
    authority: Authority | None = None,
    surface: Surface = STANDARD,
) -> None:
    """Until cancelled. `root_ca_pem` is what pods are told to trust the API server by (ConfigMap kube-root-ca.crt).
    Without an `authority` no certificate is signed and no Secret is filled with a token."""
    pod_cache = Cache(client, PODS, Pod, indexes=pods.INDEXES)
    nodes = Cache(client, NODES, Node)
    leases = Cache(client, LEASES, Lease, namespace=LEASE_NAMESPACE)
    deployments = Cache(client, DEPLOYMENTS, Deployment)
    replica_sets = Cache(client, REPLICASETS, ReplicaSet, indexes=ownership.INDEXES)
    replication_controllers = Cache(
        client, REPLICATIONCONTROLLERS, ReplicationController, indexes=ownership.INDEXES
    )
    stateful_sets = Cache(client, STATEFULSETS, StatefulSet)
    daemon_sets = Cache(client, DAEMONSETS, DaemonSet)
    revisions = Cache(client, CONTROLLERREVISIONS, ControllerRevision, indexes=ownership.INDEXES)
    claims = Cache(client, PERSISTENTVOLUMECLAIMS, Claim)
    volumes = Cache(client, PERSISTENTVOLUMES, Volume)
    classes = Cache(client, STORAGECLASSES, StorageClass)
    jobs = Cache(client, JOBS, Job, indexes=ownership.INDEXES)
    cron_jobs = Cache(client, CRONJOBS, CronJob)
    budgets = Cache(client, PODDISRUPTIONBUDGETS, DisruptionBudget)
    autoscalers = Cache(client, HORIZONTALPODAUTOSCALERS, HorizontalPodAutoscaler)
    services = Cache(client, SERVICES, Service, indexes=SERVICE_INDEXES)
    slices = Cache(client, ENDPOINTSLICES, EndpointSlice, indexes=SLICE_INDEXES)
    endpoints = Cache(client, ENDPOINTS, Endpoints)
    namespaces = Cache(client, NAMESPACES, Namespace)
    api_services = Cache(client, APISERVICES, ApiService)
    quotas = Cache(client, RESOURCEQUOTAS, ResourceQuota)
    accounts = Cache(client, SERVICEACCOUNTS, MetadataOnly)
    authorities = Cache(client, CONFIGMAPS, ConfigMap, field_selector=f"metadata.name={ROOT_CA}")
    events = Cache(client, EVENTS, EventTimes)
    crds = Cache(client, CRDS, Crd)
    roles = Cache(client, CLUSTERROLES, dict)
    caches: tuple[Cache[Any], ...] = (
        pod_cache,
        nodes,
        leases,
        deployments,
        replica_sets,
        replication_controllers,
        stateful_sets,
        daemon_sets,
        revisions,
        claims,
        volumes,
        classes,
        jobs,
        cron_jobs,
        budgets,
        autoscalers,
        services,
        slices,
        endpoints,
        quotas,
        api_services,
        namespaces,
        accounts,
        authorities,
        events,
        crds,
        roles,
    )
    recorders = {
        name: Recorder(client, name)
        for name in (
            "deployment-controller",
            "replicaset-controller",
            "replication-controller",
            "statefulset-controller",
            "daemonset-controller",
            "job-controller",
            "cronjob-controller",
            "controllermanager",
            "horizontal-pod-autoscaler",
            "node-controller",
            "persistentvolume-controller",
            storage_classes.SIMULATED,
            "ephemeral_volume",
            "taint-eviction-controller",
        )
    }
    async with asyncio.TaskGroup() as tasks:
        for cache in caches:
            tasks.create_task(cache.run(), name=f"cache {cache.resource.name}")
        for name, recorder in recorders.items():
            tasks.create_task(recorder.run(), name=f"events of {name}")
        for cache in caches:
            await cache.synced()
        # These follow a part of their kind, or of its objects.
        partial = (authorities, leases, events, roles)
        whole = tuple(cache for cache in caches if cache not in partial)
        controllers = (
            ReplicaSets(
                client,
                clock,
                rng,
                recorders["replication-controller"],
                REPLICATIONCONTROLLERS,
                replication_controllers,
                pod_cache,
            ),
            ReplicaSets(
                client, clock, rng, recorders["replicaset-controller"], REPLICASETS, replica_sets, pod_cache
            ),
            Deployments(
                client, clock, rng, recorders["deployment-controller"], deployments, replica_sets, pod_cache
            ),
            StatefulSets(
                client,
                clock,
                rng,
                recorders["statefulset-controller"],
                stateful_sets,
                revisions,
                pod_cache,
                claims,
            ),
            DaemonSets(
                client,
                clock,
                rng,
                recorders["daemonset-controller"],
                daemon_sets,
                revisions,
                pod_cache,
                nodes,
            ),
            Jobs(client, clock, rng, recorders["job-controller"], jobs, pod_cache),
            CronJobs(client, clock, rng, recorders["cronjob-controller"], cron_jobs, jobs),
            Disruption(
                client,
                clock,
                rng,
                recorders["controllermanager"],
                budgets,
                pod_cache,
                deployments,
                replica_sets,
                stateful_sets,
                Kinds(crds, surface),
            ),
            StaleDisruptions(client, clock, rng, pod_cache),
            Autoscalers(
                client, clock, rng, recorders["horizontal-pod-autoscaler"], autoscalers, Kinds(crds, surface)
            ),
            ServiceEndpoints(client, rng, services, slices, endpoints, pod_cache, nodes),
            FinishedJobs(client, clock, rng, jobs),
            Namespaces(
                client,
                clock,
                rng,
                Kinds(crds, surface),
                namespaces,
                accounts,
                authorities,
                root_ca_pem=root_ca_pem,
            ),
            Nodes(client, clock, rng, recorders["node-controller"], nodes, leases, pod_cache),
            Evictions(client, clock, rng, recorders["taint-eviction-controller"], nodes, pod_cache),
            ResourceQuotas(
                client, rng, quotas, {PODS: pod_cache, PERSISTENTVOLUMECLAIMS: claims}, Kinds(crds, surface)
            ),
            Volumes(
                client,
                clock,
                rng,
                recorders["persistentvolume-controller"],
                recorders[storage_classes.SIMULATED],
                claims,
                volumes,
                classes,
                pod_cache,
                nodes,
            ),
            VolumeProtection(client, rng, claims, volumes, pod_cache),
            EphemeralClaims(client, rng, recorders["ephemeral_volume"], claims, pod_cache),
            ApiServices(client, clock, rng, api_services, crds, surface),
            PodGarbage(client, clock, nodes, pod_cache),
            EventTtl(client, clock, events),
            ClusterRoles(client, rng, roles),
            Garbage(client, rng, crds, {cache.resource: cache for cache in whole}, surface),
        )
        if authority is not None:
            tasks.create_task(credentials.run(client, clock, rng, accounts, authority), name="credentials")
        for controller in controllers:
            tasks.create_task(controller.run(), name=type(controller).__name__)
