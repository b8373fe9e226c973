"""What is rendered, as it is applied: owned by its policy, and marked so that its drift is told from its change."""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from aliquot.kube.api.gpunode import API_VERSION
from aliquot.operator.core.policies import Policy

Json: TypeAlias = dict[str, Any]

RENDERED = "aliquot.dev/rendered"
"""An annotation: a digest of the object as it was to be. With the same digest, what is otherwise was changed by somebody else."""


def owned(manifest: Json, policy: Policy) -> Json:
    owner = {
        "apiVersion": API_VERSION,
        "kind": "GPUPolicy",
        "name": policy.name,
        "uid": policy.uid,
        "controller": True,
    }
    digest = hashlib.sha256(msgspec.json.encode(manifest, order="sorted")).hexdigest()[:12]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), RENDERED: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations, "ownerReferences": [owner]}}


def digest(obj: Mapping[str, Any]) -> str:
    """Empty: it has none."""
    found: str = (obj["metadata"].get("annotations") or {}).get(RENDERED, "")
    return found


def is_of(obj: Mapping[str, Any], policy: Policy) -> bool:
    """Nobody else's, whatever its labels say."""
    return any(
        owner.get("uid") == policy.uid and owner.get("controller")
        for owner in obj["metadata"].get("ownerReferences") or ()
    )
