"""Which StorageClass is the default one, and which one a claim asks for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

Obj = Mapping[str, Any]

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_BETA_IS_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
SIMULATED = "aliquot.dev/simulated"
"""The provisioner whose volumes are made of nothing, at once."""


def is_default(storage_class: Obj) -> bool:
    annotations = (storage_class.get("metadata") or {}).get("annotations") or {}
    return "true" in (annotations.get(IS_DEFAULT), annotations.get(_BETA_IS_DEFAULT))


def default(classes: Iterable[Obj]) -> str:
    """The name of the youngest of the default ones, the first by name of equals; empty when there is none."""
    found = sorted(
        (one["metadata"] for one in classes if is_default(one)), key=lambda meta: str(meta["name"])
    )
    youngest = max(found, key=lambda meta: str(meta.get("creationTimestamp") or ""), default=None)
    return str(youngest["name"]) if youngest is not None else ""


def asked(claim: Obj) -> str | None:
    """None: the claim asks for no class and will take the default; empty: for a volume without a class.

    The annotation is older than the field, and overrules it.
    """
    annotations = (claim.get("metadata") or {}).get("annotations") or {}
    beta = annotations.get(BETA_CLASS)
    if beta is not None:
        return str(beta)
    name = (claim.get("spec") or {}).get("storageClassName")
    return None if name is None else str(name)
