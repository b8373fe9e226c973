"""Defaults of the kinds that make pods. They change their argument, a copy made for it."""

from typing import Any

from aliquot.emulator.kinds import autoscalers
from aliquot.emulator.schema.defaults.pods import fill_pod_spec

_UNLIMITED = 2**31 - 1
_QUARTER = "25%"

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation in which apps/v1 shows how often a DaemonSet's template has changed."""


def _fill_deployment(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    strategy = spec["strategy"]
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", _QUARTER)
        rolling.setdefault("maxSurge", _QUARTER)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    fill_pod_spec(spec["template"]["spec"])


def _fill_replicas(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    fill_pod_spec(spec["template"]["spec"])


def _fill_replication_controller(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    template = spec.get("template")
    if template is None:
        return
    labels = template.get("metadata", {}).get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or labels
        obj["metadata"]["labels"] = obj["metadata"].get("labels") or labels
    template.setdefault("metadata", {})
    fill_pod_spec(template.setdefault("spec", {}))


def _fill_daemon_set(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    annotations = obj["metadata"].setdefault("annotations", {})
    annotations.setdefault(TEMPLATE_GENERATION, "0")
    strategy = spec["updateStrategy"]
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    fill_pod_spec(spec["template"]["spec"])


def _fill_stateful_set(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
    strategy = spec["updateStrategy"]
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    elif strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention["whenDeleted"] = retention.get("whenDeleted") or "Retain"
    retention["whenScaled"] = retention.get("whenScaled") or "Retain"
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("serviceName", "")
    for claim in spec.get("volumeClaimTemplates", ()):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    fill_pod_spec(spec["template"]["spec"])


def _fill_job(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", _UNLIMITED if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
        for pattern in rule.get("onPodConditions", ()):
            pattern["status"] = pattern.get("status") or "True"
    labels = spec["template"]["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    fill_pod_spec(spec["template"]["spec"])


def _fill_cron_job(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec["concurrencyPolicy"] = spec.get("concurrencyPolicy") or "Allow"
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    fill_pod_spec(spec["jobTemplate"]["spec"]["template"]["spec"])


def _fill_autoscaler(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec.setdefault("minReplicas", 1)
    if obj.get("apiVersion") == autoscalers.V1:
        autoscalers.fill_target(obj)
    elif not spec.get("metrics"):
        spec["metrics"] = [autoscalers.DEFAULT_METRIC]
    if (behavior := spec.get("behavior")) is not None:
        for direction, rules in autoscalers.DEFAULT_RULES.items():
            behavior[direction] = {**rules, **behavior.get(direction, {})}


FILLERS = {
    ("autoscaling", "HorizontalPodAutoscaler"): _fill_autoscaler,
    ("apps", "Deployment"): _fill_deployment,
    ("apps", "ReplicaSet"): _fill_replicas,
    ("apps", "DaemonSet"): _fill_daemon_set,
    ("apps", "StatefulSet"): _fill_stateful_set,
    ("", "ReplicationController"): _fill_replication_controller,
    ("batch", "Job"): _fill_job,
    ("batch", "CronJob"): _fill_cron_job,
}
