"""values.yaml, with what each value is for, and its JSON schema."""

from collections.abc import Mapping
from typing import Any

import msgspec

from aliquot.installation.values import Values, shipped

_SAID = {
    "image": "Of all parts: REPOSITORY/NAME:TAG, or a digest after @. Operands have theirs in the GPUPolicy.",
    "imagePullSecrets": "Names of Secrets in aliquot-system.",
    "monitors": "PodMonitors, where Prometheus' operator has its CRD.",
    "network": "policies: deny all traffic but what is used. apiPorts: where pods reach the API server.",
    "operator": "Brings GPU nodes from bare to validated, and upgrades their drivers. One leads, the others stand by.",
    "scheduler": "Places pods with schedulerName: aliquot.",
    "partitioner": "Cuts and shares GPUs as pods need them.",
    "admission": "Pods that name a GPUClass: policies where the cluster serves MutatingAdmissionPolicy, elsewhere a webhook.",
    "discovery": "Finds the nodes with GPUs; where Node Feature Discovery runs, it may be left out.",
    "policy": "A GPUPolicy; with an empty spec it takes all nodes with GPUs, with the shipped images.",
}


def values_yaml() -> str:
    import yaml

    found = []
    for name, value in shipped().items():
        said = f"# {_SAID[name]}\n" if name in _SAID else ""
        found.append(said + yaml.safe_dump({name: value}, sort_keys=False))
    return "\n".join(found)


def values_schema() -> str:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **_closed(_schema())}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _schema() -> dict[str, Any]:
    (found,), parts = msgspec.json.schema_components([Values], ref_template="#/definitions/{name}")
    top = parts.pop(found["$ref"].rpartition("/")[2])
    # Helm gives it to every chart that is part of another.
    properties = {**top["properties"], "global": {"type": "object"}}
    return {**top, "properties": properties, "definitions": parts}


def _closed(value: Any) -> Any:
    """Unknown fields are refused wherever the fields are known. Defaults are values.yaml's."""
    if isinstance(value, list):
        return [_closed(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    found = {
        name: _closed(one) for name, one in value.items() if name != "default" or isinstance(one, Mapping)
    }
    if "properties" in found and isinstance(found.get("type"), str):
        found["additionalProperties"] = False
    return found
