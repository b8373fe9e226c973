"""Objects for the rules to look at, and what they say about them."""

import copy
from collections.abc import Sequence
from typing import Any

import yaml

from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.errors import FieldError
from aliquot.emulator.schema.kind import Schema

Json = dict[str, Any]

CATALOGUE = Catalogue()


def schema(kind: str, group: str = "", version: str = "v1") -> Schema:
    found = CATALOGUE.get(group, version, kind)
    assert found is not None
    return found


def read(text: str, kind: str, group: str = "") -> Json:
    """YAML as the server would have it: decoded, defaulted."""
    known = schema(kind, group)
    decoded, unknown = known.decode(yaml.safe_load(text))
    assert not unknown
    return known.default(decoded)


def pod(**spec: Any) -> Json:
    """A sound pod, with `spec` instead of what stands in it."""
    container = {"name": "main", "image": "x:1"}
    whole = {"metadata": {"name": "a", "namespace": "ns"}, "spec": {"containers": [container], **spec}}
    return schema("Pod").default(schema("Pod").decode(whole)[0])


def container(**fields: Any) -> Json:
    return pod(containers=[{"name": "main", "image": "x:1", **fields}])


def texts(errors: Sequence[FieldError]) -> list[str]:
    return list(map(str, errors))


def changed(obj: Json, path: str, value: Any) -> Json:
    """A copy with another value (None: without one) at a dotted path; numbers are places in a list."""
    made = copy.deepcopy(obj)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    holder: Any = made
    for part in parents:
        holder = holder[part] if isinstance(part, int) else holder.setdefault(part, {})
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return made
