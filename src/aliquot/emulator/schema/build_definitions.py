"""Makes this package's schema data from other people's; run by hand when a Kubernetes version is added.

    pip install kubernetes-validate==1.37.0        # Apache-2.0, 108 MB: never a dependency of ours
    python -m aliquot.emulator.schema.build_definitions definitions .../kubernetes_validate/kubernetes-json-schema

writes `definitions-1.36.json.gz` (structure) and `descriptions-1.36.json.gz` (prose, read only for OpenAPI): all of
the default version. What other versions have otherwise is in `definitions-changes.json.gz` and
`descriptions-changes.json.gz`: {version: JSON merge patch upon the next version toward the default one}.
That package holds Kubernetes' OpenAPI v2 definitions with merge and list keys, altered to suit JSON schema
validators; what was altered is put back: `type: [x, "null"]`, the spellings of `$ref`, the `enum` added to
apiVersion and kind, and the two types that are a string or a number.

    python -m aliquot.emulator.schema.build_definitions protobuf proto_fields.json

packs a table {message: {field number: [name, kind, repeated]}} (made from the file descriptors inside a
kubectl binary of 1.34 or older) as `proto-fields.json.gz`.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from aliquot.emulator import versions
from aliquot.emulator.schema.definitions import toward_base

DATA = Path(__file__).parent.parent / "data"
REF_PREFIX = "#/$defs/"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
# The defaults that list keys have; without them an item that leaves its key out would be another item.
KEY_DEFAULTS = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}


def restore(node: dict[str, Any]) -> dict[str, Any]:
    """One schema as Kubernetes publishes it, `$ref` as the bare name of a definition, without prose."""
    out: dict[str, Any] = {}
    for key, value in node.items():
        match key:
            case "description" | "enum":
                continue
            case "$ref":
                out["$ref"] = value.split(REF_PREFIX)[1]
            case "type":
                out["type"] = value if isinstance(value, str) else next(t for t in value if t != "null")
            case "properties":
                out["properties"] = {name: restore(child) for name, child in sorted(value.items())}
            case "items" | "additionalProperties":
                out[key] = restore(value) if isinstance(value, dict) else value
            case _:
                out[key] = value
    return out


def definitions(source: dict[str, Any]) -> dict[str, Any]:
    out = {name: restore(node) for name, node in sorted(source["$defs"].items())}
    out[INT_OR_STRING] = {"type": "string", "format": "int-or-string"}
    out[QUANTITY] = {"type": "string", "format": "quantity"}
    for name, defaults in KEY_DEFAULTS.items():
        for key, default in defaults.items():
            out[name]["properties"][key]["default"] = default
    return out


def descriptions(source: dict[str, Any]) -> dict[str, dict[str, str]]:
    """{definition: {property: prose}}; the definition's own prose stands under the empty name."""
    out: dict[str, dict[str, str]] = {}
    for name, node in sorted(source["$defs"].items()):
        prose = {"": node.get("description", "")}
        prose |= {
            key: child.get("description", "") for key, child in sorted(node.get("properties", {}).items())
        }
        out[name] = {key: text for key, text in prose.items() if text}
    return out


def merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that makes `new` of `old`, neither of which holds a null."""
    patch: dict[str, Any] = {}
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            if changed := merge_patch(before, after):
                patch[key] = changed
        elif before != after:
            patch[key] = after
    return patch


def pack_versions(name: str, by_version: dict[str, dict[str, Any]]) -> None:
    pack(f"{name}-{versions.DEFAULT}.json.gz", by_version[versions.DEFAULT])
    changes = {
        version: merge_patch(by_version[toward_base(version)], by_version[version])
        for version in versions.SUPPORTED
        if version != versions.DEFAULT
    }
    pack(f"{name}-changes.json.gz", changes)


def proto_fields(table: dict[str, dict[str, list[Any]]]) -> dict[str, dict[str, list[Any]]]:
    """The table with names as JSON has them; a few differ in protobuf by the case of letters."""
    spelled = {"uID": "uid", "aPIGroup": "apiGroup"}
    return {
        message: {
            number: [spelled.get(name, name[:1].lower() + name[1:]), kind, more]
            for number, (name, kind, more) in fields.items()
        }
        for message, fields in table.items()
    }


def pack(name: str, value: Any) -> None:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    path = DATA / name
    path.write_bytes(gzip.compress(body, 9, mtime=0))
    sys.stdout.write(f"{path.name}: {len(body)} bytes, {path.stat().st_size} packed\n")


def main(arguments: list[str]) -> None:
    match arguments:
        case ["definitions", path]:
            sources = {
                version: json.loads((Path(path) / f"v{version}.0-local" / "_definitions.json").read_bytes())
                for version in versions.SUPPORTED
            }
            pack_versions("definitions", {key: definitions(source) for key, source in sources.items()})
            pack_versions("descriptions", {key: descriptions(source) for key, source in sources.items()})
        case ["protobuf", path]:
            pack("proto-fields.json.gz", proto_fields(json.loads(Path(path).read_bytes())))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
