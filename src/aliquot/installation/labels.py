"""How what belongs to an installation is known again: by whoever installs next, and by who takes it away."""

from typing import Any, TypeAlias

from aliquot import __version__

Json: TypeAlias = dict[str, Any]

PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
NAME = "app.kubernetes.io/name"
VERSION = "app.kubernetes.io/version"
OURS = "aliquot"
BY_INSTALL = "aliquot-install"
BY_OPERATOR = "aliquot-operator"
BY_HELM = "Helm"
INSTALLED = f"{PART_OF}={OURS},{MANAGED_BY}={BY_INSTALL}"
"""A label selector."""
RUN_BY_UP = "aliquot.dev/run-by-aliquot-up"
"""An annotation of the namespace on an emulated cluster: `agents` or `operator` run in its process, and not as pods."""


def labelled(obj: Json, *, component: str = "") -> Json:
    """With the labels of an installation beside its own."""
    metadata = obj["metadata"]
    labels = {
        **metadata.get("labels", {}),
        PART_OF: OURS,
        MANAGED_BY: BY_INSTALL,
        VERSION: __version__,
        **({COMPONENT: component} if component else {}),
    }
    return {**obj, "metadata": {**metadata, "labels": labels}}
