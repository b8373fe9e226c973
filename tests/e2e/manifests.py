"""Objects as users write them, as JSON for `kubectl apply -f -`."""

import json
from typing import Any

from tests.e2e.commands import RUNS


def pod(name: str, *, labels: dict[str, str] | None = None) -> str:
    return manifest("Pod", name, {"containers": [{"name": "main", "image": RUNS}]}, labels=labels)


def manifest(kind: str, name: str, spec: dict[str, Any], *, api: str = "v1", **metadata: Any) -> str:
    return json.dumps(
        {
            "apiVersion": api,
            "kind": kind,
            "metadata": {"name": name, **{k: v for k, v in metadata.items() if v is not None}},
            "spec": spec,
        }
    )


def config(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def workload(kind: str, name: str, image: str = RUNS, **spec: Any) -> str:
    """A Deployment, StatefulSet or DaemonSet of pods labelled `app: NAME`, which end at once when told to."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image}], "terminationGracePeriodSeconds": 0},
    }
    selector = {"matchLabels": {"app": name}}
    return manifest(kind, name, {"selector": selector, "template": template, **spec}, api="apps/v1")
