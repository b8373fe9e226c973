"""Kinds that make no pods."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.emulator.schema.warnings import node_labels
from aliquot.emulator.schema.warnings.addresses import odd_address
from aliquot.emulator.schema.warnings.pods import claim_spec

Obj = Mapping[str, Any]

_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
_MOUNTABLE_SECRETS = "kubernetes.io/enforce-mountable-secrets"
_MANAGED_BY = "endpoints.kubernetes.io/managed-by"

_STANDARD_FINALIZERS = ("foregroundDeletion", "orphan", "kubernetes")
_VOLUMES = {
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def service(obj: Obj, old: Obj | None) -> Iterator[str]:
    spec = obj["spec"]
    if _TOPOLOGY_HINTS in _annotations(obj):
        yield f"annotation {_TOPOLOGY_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
    headless = spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None"
    named = spec.get("type") == "ExternalName"
    if spec.get("clusterIP") not in (None, "", "None") and not named:
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            yield from odd_address(f"spec.clusterIPs[{index}]", address)
    external = spec.get("externalIPs") or ()
    if headless:
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if external:
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for index, address in enumerate(external):
        yield from odd_address(f"spec.externalIPs[{index}]", address)
    if external and not headless and not named:
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("loadBalancerIP"):
        yield from odd_address("spec.loadBalancerIP", spec["loadBalancerIP"])
    if external and named:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("externalName") and not named:
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def secret(obj: Obj, old: Obj | None) -> Iterator[str]:
    """A certificate and a key that do not belong together, in words of Go's crypto/tls."""
    if obj.get("type") != "kubernetes.io/tls":
        return
    # Only for who has such a secret.
    from aliquot.emulator.schema.warnings import key_pairs

    data = obj.get("data") or {}
    problem = key_pairs.problem(
        base64.b64decode(data.get("tls.crt", "")), base64.b64decode(data.get("tls.key", ""))
    )
    if problem:
        yield problem


def service_account(obj: Obj, old: Obj | None) -> Iterator[str]:
    if _MOUNTABLE_SECRETS in _annotations(obj) and _MOUNTABLE_SECRETS not in _annotations(old or {}):
        yield (
            f"metadata.annotations[{_MOUNTABLE_SECRETS}]: deprecated in v1.32+; prefer separate namespaces to isolate "
            "access to mounted secrets"
        )


def endpoints(obj: Obj, old: Obj | None) -> Iterator[str]:
    if (_metadata(obj).get("labels") or {}).get(_MANAGED_BY) == "endpoint-controller":
        return  # which spells addresses as they are spelled
    for index, subset in enumerate(obj.get("subsets") or ()):
        for part in ("addresses", "notReadyAddresses"):
            for place, address in enumerate(subset.get(part) or ()):
                yield from odd_address(f"subsets[{index}].{part}[{place}].ip", address["ip"])


def endpoint_slice(obj: Obj, old: Obj | None) -> Iterator[str]:
    if old is None and obj.get("addressType") == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"


def persistent_volume(obj: Obj, old: Obj | None) -> Iterator[str]:
    spec, annotations = obj["spec"], _annotations(obj)
    for key, since, field in (
        (_STORAGE_CLASS, "v1.8", "storageClassName"),
        (_MOUNT_OPTIONS, "v1.31", "mountOptions"),
    ):
        if key in annotations:
            yield f'metadata.annotations[{key}]: deprecated since {since}; use "{field}" attribute instead'
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
    required = (spec.get("nodeAffinity") or {}).get("required") or {}
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        yield from node_labels.selector_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]")
    for kind, why in _VOLUMES.items():
        if kind in spec:
            yield f"spec.{'storageOS' if kind == 'storageos' else kind}: {why}"


def claim(obj: Obj, old: Obj | None) -> Iterator[str]:
    if _STORAGE_CLASS in _annotations(obj):
        yield (
            f'metadata.annotations[{_STORAGE_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
        )
    yield from claim_spec(obj["spec"], "spec")


def storage_class(obj: Obj, old: Obj | None) -> Iterator[str]:
    for index, topology in enumerate(obj.get("allowedTopologies") or ()):
        for place, expression in enumerate(topology.get("matchLabelExpressions") or ()):
            if why := node_labels.GIVEN_UP.get(expression.get("key", "")):
                yield f"allowedTopologies[{index}].matchLabelExpressions[{place}].key: {why}"


def ingress(obj: Obj, old: Obj | None) -> Iterator[str]:
    if old is None and _INGRESS_CLASS in _annotations(obj) and not obj["spec"].get("ingressClassName"):
        yield f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def runtime_class(obj: Obj, old: Obj | None) -> Iterator[str]:
    for label in (obj.get("scheduling") or {}).get("nodeSelector") or ():
        if why := node_labels.GIVEN_UP.get(label):
            yield f"scheduling.nodeSelector: {why}"


def finalizers(obj: Obj, old: Obj | None) -> Iterator[str]:
    """Of custom objects, whose finalizers anybody may come to use."""
    before = set(_metadata(old or {}).get("finalizers") or ())
    for finalizer in sorted(set(_metadata(obj).get("finalizers") or ()) - before):
        if "/" in finalizer or finalizer in _STANDARD_FINALIZERS:
            continue
        including = " including a path (/)" if "." in finalizer else ""
        yield (
            f'metadata.finalizers: "{finalizer}": prefer a domain-qualified finalizer name{including} to avoid '
            "accidental conflicts with other finalizer writers"
        )


def _metadata(obj: Obj) -> Mapping[str, Any]:
    return obj.get("metadata") or {}


def _annotations(obj: Obj) -> Mapping[str, str]:
    return _metadata(obj).get("annotations") or {}
