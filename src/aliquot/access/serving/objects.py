"""The server as objects of a cluster. Pure: from its configuration, and what lies beside it, to manifests.

What is no secret (the configuration, policy, bindings, templates, certificates of authorities) is a ConfigMap that is made here. Secrets
are one Secret that somebody else makes; each of its keys that is used is named, so that a pod without it does not start. Both lie
in one directory, as beside the configuration's file.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from aliquot.access.cluster.naming import AGENT
from aliquot.access.notify.settings import MailSettings, WebhookSettings
from aliquot.access.serving.configuration import Configuration
from aliquot.kube.roles import NAMESPACE

Json = dict[str, Any]

NAME = "aliquot-access-server"
SECRET = "aliquot-access"
PASSWORD_KEY = "database-password"
DIRECTORY = "/etc/aliquot/access"
CONFIGURATION = "access.yaml"
DATA = "/var/lib/aliquot"
METRICS_PORT = 8080
_DATA_VOLUME = "data"
_STORAGE = "10Gi"
_USER = 65532
_LABELS = {"app.kubernetes.io/name": NAME}
_WEB_PORTS = (443, 6443)
_POSTGRESQL_PORT = 5432
_DNS = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]


class Wanted(Struct, frozen=True, kw_only=True):
    image: str
    files: Mapping[str, str]
    """What is no secret, by its path beside the configuration; that itself is CONFIGURATION."""
    secrets: Sequence[str]
    """Paths of what is."""
    replicas: int = 2
    storage: str = ""
    """Of the volume that SQLite lies on; on PostgreSQL, of one for each server's journal. Empty there: it goes with its pod."""
    storage_class: str = ""
    ports: Sequence[int] = ()
    """To which it goes, beside those that the configuration names."""


class NotServable(Exception):
    """The configuration does not fit into a pod. One line, with the fix."""


def objects(configuration: Configuration, wanted: Wanted) -> tuple[Json, ...]:
    """In the order in which they are applied. Raises NotServable."""
    is_sqlite = configuration.database.startswith("sqlite")
    _check(configuration, wanted, is_sqlite)
    port = configuration.address[1]
    return (
        *(() if _is_agent(configuration) else (_account(),)),
        _config_map(wanted.files),
        *((_claim(wanted),) if is_sqlite else ()),
        _workload(configuration, wanted, is_sqlite=is_sqlite),
        _service(port),
        _network(port, sorted({*_reached(configuration), *wanted.ports})),
        _budget(),
    )


def key_of(path: str) -> str:
    """Of a Secret or ConfigMap, for a file at this path."""
    return path.replace("/", ".")


def _check(configuration: Configuration, wanted: Wanted, is_sqlite: bool) -> None:
    if is_sqlite and not configuration.database.startswith(f"sqlite:///{DATA}/"):
        raise NotServable(
            f"database: a pod keeps nothing but what lies in {DATA}: sqlite:///{DATA}/access.db"
        )
    if not configuration.journal.startswith(f"{DATA}/") and (configuration.journal or not is_sqlite):
        raise NotServable(
            f"journal: a pod keeps nothing but what lies in {DATA}: write journal: {DATA}/access.journal"
        )
    if is_sqlite and wanted.replicas != 1:
        raise NotServable("SQLite is for one server: --replicas 1, or a PostgreSQL database")
    if configuration.tls is None:
        raise NotServable("tls: others reach a pod over the network: give it certificateFile and keyFile")
    if configuration.address[0] not in ("0.0.0.0", "::"):
        raise NotServable(f"listen: nobody reaches {configuration.listen} in a pod: 0.0.0.0:8443")
    if configuration.address[1] == METRICS_PORT:
        raise NotServable(f"listen: port {METRICS_PORT} is that of the metrics: 0.0.0.0:8443")
    for path in (*wanted.files, *wanted.secrets):
        if path.startswith("/") or ".." in path.split("/"):
            raise NotServable(
                f"{path}: in a pod everything lies beside the configuration: write a path below it"
            )


def _reached(configuration: Configuration) -> Iterator[int]:
    """Ports of everybody whom it asks or tells."""
    yield from _WEB_PORTS
    if not configuration.database.startswith("sqlite"):
        yield urlsplit(configuration.database).port or _POSTGRESQL_PORT
    urls = [
        *(one.issuer for one in configuration.identity.oidc),
        *(one.url for one in configuration.tickets.systems.values()),
        *(one.url for one in configuration.witnesses.servers),
    ]
    for channel in configuration.notify.channels.values():
        if isinstance(channel, MailSettings):
            yield channel.port
        elif isinstance(channel, WebhookSettings):
            urls.append(channel.url)
    for url in urls:
        yield urlsplit(url).port or 443


def _is_agent(configuration: Configuration) -> bool:
    """Whether it looks after the cluster that it is in, by its own account."""
    return any(not one.kubeconfig for one in configuration.clusters)


def _metadata(name: str = NAME) -> Json:
    return {"name": name, "namespace": NAMESPACE, "labels": dict(_LABELS)}


def _account() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(),
        "automountServiceAccountToken": False,
    }


def _config_map(files: Mapping[str, str]) -> Json:
    data = {key_of(path): text for path, text in sorted(files.items())}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(), "data": data}


def _claim(wanted: Wanted) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(),
        "spec": _volume(wanted),
    }


def _volume(wanted: Wanted) -> Json:
    spec: Json = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": wanted.storage or _STORAGE}},
    }
    if wanted.storage_class:
        spec["storageClassName"] = wanted.storage_class
    return spec


def _pod(configuration: Configuration, wanted: Wanted, *data: Json) -> Json:
    is_agent = _is_agent(configuration)
    return {
        "serviceAccountName": AGENT if is_agent else NAME,
        "automountServiceAccountToken": is_agent,
        "priorityClassName": "system-cluster-critical",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # What it is doing is finished, or let go of.
        "terminationGracePeriodSeconds": 30,
        "containers": [_container(configuration, wanted.image)],
        "volumes": [*_volumes(wanted), *data],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(_LABELS)},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
    }


def _workload(configuration: Configuration, wanted: Wanted, *, is_sqlite: bool) -> Json:
    if wanted.storage and not is_sqlite:
        return _stateful_set(wanted, _pod(configuration, wanted))
    if is_sqlite:
        data: Json = {"name": _DATA_VOLUME, "persistentVolumeClaim": {"claimName": NAME}}
        # Two of them cannot have one file, not even for a moment.
        strategy: Json = {"type": "Recreate"}
    else:
        data = {"name": _DATA_VOLUME, "emptyDir": {}}
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    return _replicated("Deployment", wanted, _pod(configuration, wanted, data), {"strategy": strategy})


def _stateful_set(wanted: Wanted, pod: Json) -> Json:
    claim = {"metadata": {"name": _DATA_VOLUME}, "spec": _volume(wanted)}
    more = {"serviceName": NAME, "podManagementPolicy": "Parallel", "volumeClaimTemplates": [claim]}
    return _replicated("StatefulSet", wanted, pod, more)


def _replicated(kind: str, wanted: Wanted, pod: Json, more: Json) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": _metadata(),
        "spec": {
            "replicas": wanted.replicas,
            **more,
            "selector": {"matchLabels": dict(_LABELS)},
            "template": {"metadata": {"labels": dict(_LABELS)}, "spec": pod},
        },
    }


def _container(configuration: Configuration, image: str) -> Json:
    def probe(path: str, **more: int) -> Json:
        return {"httpGet": {"path": path, "port": "metrics"}, "timeoutSeconds": 5, **more}

    # A server that cannot reach its database still ends things, and tells why it gives nothing.
    serves = "/readyz?exclude=database&exclude=cluster&exclude=policy&exclude=log&exclude=journal"
    password = {"name": SECRET, "key": PASSWORD_KEY, "optional": True}
    return {
        "name": "server",
        "image": image,
        "command": ["aliquot"],
        "args": [
            *("access", "serve", "--config", f"{DIRECTORY}/{CONFIGURATION}"),
            *("--metrics-port", str(METRICS_PORT)),
        ],
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": password}},
        ],
        "ports": [
            {"name": "https", "containerPort": configuration.address[1]},
            {"name": "metrics", "containerPort": METRICS_PORT},
        ],
        "startupProbe": probe("/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": probe("/healthz", periodSeconds=20, failureThreshold=5),
        "readinessProbe": probe(serves, periodSeconds=5),
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "configuration", "mountPath": DIRECTORY, "readOnly": True},
            {"name": _DATA_VOLUME, "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _volumes(wanted: Wanted) -> Iterator[Json]:
    sources: list[Json] = [
        {"configMap": {"name": NAME, "items": _items(wanted.files)}},
        {"secret": {"name": SECRET, "items": _items(wanted.secrets)}},
    ]
    yield {"name": "configuration", "projected": {"defaultMode": 0o440, "sources": sources}}
    yield {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}


def _items(paths: Mapping[str, str] | Sequence[str]) -> list[Json]:
    return [{"key": key_of(path), "path": path} for path in sorted(paths)]


def _service(port: int) -> Json:
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(),
        "spec": {"selector": dict(_LABELS), "ports": ports},
    }


def _network(port: int, ports: Sequence[int]) -> Json:
    """Ticket systems, mail servers, identity providers and API servers are names, which no policy knows: their ports are."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(),
        "spec": {
            "podSelector": {"matchLabels": dict(_LABELS)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [{"port": port, "protocol": "TCP"}]},
                {
                    "from": [{"namespaceSelector": {}}],
                    "ports": [{"port": METRICS_PORT, "protocol": "TCP"}],
                },
            ],
            "egress": [
                {"to": [{"namespaceSelector": {}}], "ports": _DNS},
                {"ports": [{"port": one, "protocol": "TCP"} for one in ports]},
            ],
        },
    }


def _budget() -> Json:
    """One may always go, so that nodes can be drained."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": dict(_LABELS)}},
    }
