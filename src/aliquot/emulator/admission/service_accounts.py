"""A pod runs as a ServiceAccount, and finds that account's token in its files."""

from functools import lru_cache
from random import Random

from aliquot.emulator.admission.pods import is_new_pod
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json, generated_name, metadata
from aliquot.emulator.statuses import forbidden

_CONTAINERS = ("containers", "initContainers")
_MIRROR = "kubernetes.io/config.mirror"
"""Of a pod that a node runs by itself and shows here: it has no account."""
_VOLUME = "kube-api-access-"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SOURCES = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [
                {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
            ]
        }
    },
]


def service_account(asked: Admitted, obj: Json) -> Json:
    """`default` is not waited for: it comes with the namespace. Raises StatusError 403."""
    if not is_new_pod(asked) or _MIRROR in (metadata(obj).get("annotations") or {}):
        return obj
    spec = obj.get("spec") or {}
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    if name != "default" and asked.look.get("serviceaccounts", asked.namespace, name) is None:
        raise forbidden(
            asked.served.resource,
            metadata(obj).get("name", ""),
            f'error looking up service account {asked.namespace}/{name}: serviceaccount "{name}" not found',
        )
    spec = {**spec, "serviceAccountName": name, "serviceAccount": name}
    account = asked.look.get("serviceaccounts", asked.namespace, name) or {}
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = list(account["imagePullSecrets"])
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    return {**obj, "spec": spec if wanted is False else _with_token(spec, asked.namespace, name)}


def _with_token(spec: Json, namespace: str, account: str) -> Json:
    """The volume that gives a pod its token, the authority to trust and its namespace, in every container."""
    mounted = [
        container
        for kind in _CONTAINERS
        for container in spec.get(kind) or ()
        if not any(mount.get("mountPath") == _TOKEN_PATH for mount in container.get("volumeMounts") or ())
    ]
    if not mounted:
        return spec
    volumes = list(spec.get("volumes") or ())
    name = next((one["name"] for one in volumes if one["name"].startswith(_VOLUME)), "")
    if not name:
        name = _free_volume_name(namespace, account)
        volumes.append({"name": name, "projected": {"defaultMode": 420, "sources": _TOKEN_SOURCES}})
    mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}
    changed = {
        kind: [
            {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), mount]}
            if container in mounted
            else container
            for container in spec[kind]
        ]
        for kind in _CONTAINERS
        if spec.get(kind)
    }
    return {**spec, **changed, "volumes": volumes}


@lru_cache(maxsize=1024)
def _free_volume_name(namespace: str, account: str) -> str:
    """One that no other volume of a pod has, and the same in all pods of an account: what is alike stays alike."""
    return generated_name(_VOLUME, Random(f"{namespace}/{account}"))
