"""The fields that have a counterpart, one function for each block."""

from collections.abc import Callable
from typing import Any

from aliquot.installation.clusterpolicy.taking import Fields
from aliquot.kube import duration
from aliquot.kube.roles import MIG_CONFIG_MAP, NAMESPACE

Json = dict[str, Any]
Note = Callable[[str], None]

_OPERANDS = {"toolkit": "toolkit", "dcgmExporter": "exporter"}
_TOLERATED = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
_SANDBOX = (
    "vfioManager",
    "sandboxDevicePlugin",
    "vgpuManager",
    "vgpuDeviceManager",
    "kataManager",
    "kataSandboxDevicePlugin",
    "ccManager",
)
_SERVICES = ("gds", "gdrcopy", "nodeStatusExporter", "dcgm", "psp")
_ENDLESS_S = 24 * 3600
"""For NVIDIA's 0, which is without end: a roll that waits for ever tells nobody anything."""


def cluster_policy(fields: Fields, note: Note) -> Json:
    """The spec of a GPUPolicy."""
    _leave_out(fields, note)
    spec: Json = {
        "driver": driver(fields, "spec.driver"),
        "upgrade": upgrade(fields, "spec.driver.upgradePolicy", note),
        "agent": _agent(fields, note),
        "validator": _validator(fields),
        "pods": _pods(fields, "spec.daemonsets"),
        "hostPaths": _host_paths(fields),
    }
    for name, ours in _OPERANDS.items():
        spec[ours] = _operand(fields, f"spec.{name}")
    if fields.truth("spec.dcgmExporter.serviceMonitor.enabled"):
        spec["exporter"]["serviceMonitor"] = True
    _default(fields, "spec.toolkit.installDir", "/usr/local/nvidia")
    _default(fields, "spec.operator.defaultRuntime", "containerd")
    _default(fields, "spec.operator.runtimeClass", "nvidia")
    # Namespaces of both are labelled for privileged pods.
    fields.drop("spec.psa.enabled")
    secrets = [
        secret
        for name in (
            "driver",
            "driver.manager",
            "toolkit",
            "devicePlugin",
            "gfd",
            "dcgmExporter",
            "migManager",
            "validator",
        )
        for secret in fields.take(f"spec.{name}.imagePullSecrets", list) or ()
    ]
    if secrets:
        spec["pods"]["imagePullSecrets"] = list(dict.fromkeys(secrets))
    return _filled(spec)


def nvidia_driver(fields: Fields, base: Json, note: Note) -> Json:
    """One of several pools of nodes: `base` is what the ClusterPolicy beside it came to."""
    _default(fields, "spec.driverType", "gpu")
    fields.drop("spec.default")
    for name in ("rdma", "gds", "gdrcopy"):
        _off(fields, f"spec.{name}")
    spec = {**base, "driver": driver(fields, "spec")}
    if found := upgrade(fields, "spec.upgradePolicy", note):
        spec["upgrade"] = found
    pods = {**base.get("pods", {}), **_pods(fields, "spec")}
    if secrets := fields.take("spec.imagePullSecrets", list):
        pods["imagePullSecrets"] = list(dict.fromkeys([*pods.get("imagePullSecrets", ()), *secrets]))
    spec["pods"] = pods
    spec["nodeSelector"] = _node_selector(fields)
    return _filled(spec)


def driver(fields: Fields, at: str) -> Json:
    found = _operand(fields, at)
    if fields.truth(f"{at}.usePrecompiled"):
        found["usePrecompiled"] = True
    kind = fields.text(f"{at}.kernelModuleType")
    if fields.truth(f"{at}.useOpenKernelModules") and not kind:
        kind = "open"
    if kind and kind != "auto":
        found["kernelModuleType"] = kind
    found["manager"] = {
        name: value
        for name in ("repository", "image", "version")
        if (value := fields.text(f"{at}.manager.{name}"))
    }
    fields.drop(f"{at}.manager.imagePullPolicy")
    licence = fields.take(f"{at}.licensingConfig", dict) or {}
    if licence.get("secretName") or licence.get("configMapName"):
        fields.put(f"{at}.licensingConfig", licence)
    return _filled(found)


def upgrade(fields: Fields, at: str, note: Note) -> Json:
    found: Json = {}
    auto = fields.take(f"{at}.autoUpgrade", bool)
    if auto is False:
        found["auto"] = False
    parallel = fields.take(f"{at}.maxParallelUpgrades", int)
    if parallel is not None and parallel != 1:
        found["maxParallel"] = parallel
    unavailable = fields.take(f"{at}.maxUnavailable", object)
    if unavailable is not None and unavailable != "25%":
        found["maxUnavailable"] = unavailable
    selector = fields.text(f"{at}.waitForCompletion.podSelector")
    waits_s = fields.take(f"{at}.waitForCompletion.timeoutSeconds", int)
    if selector:
        found["waitForJobs"] = {
            "podSelector": selector,
            **({"timeout": duration.text(waits_s)} if waits_s else {}),
        }
    # The chart's values call it so, the object itself podDeletion.
    for name in ("podDeletion", "gpuPodDeletion"):
        found["eviction"] = {**found.get("eviction", {}), **_eviction(fields, f"{at}.{name}", note)}
    is_drained = fields.truth(f"{at}.drain.enable")
    drain = _eviction(fields, f"{at}.drain", note)
    pods = fields.text(f"{at}.drain.podSelector")
    if is_drained:
        return {**_filled(found), "drain": {**drain, **({"podSelector": pods} if pods else {})}}
    return _filled(found)


def _eviction(fields: Fields, at: str, note: Note) -> Json:
    found: Json = {}
    for name in ("force", "deleteEmptyDir"):
        if fields.truth(f"{at}.{name}"):
            found[name] = True
    timeout_s = fields.take(f"{at}.timeoutSeconds", int)
    if timeout_s == 0:
        note(f"{at}.timeoutSeconds: 0 is without end there, and {duration.text(_ENDLESS_S)} here")
        timeout_s = _ENDLESS_S
    if timeout_s not in (None, 300):
        found["timeout"] = duration.text(timeout_s)
    return found


def _operand(fields: Fields, at: str) -> Json:
    found: Json = {}
    if not fields.truth(f"{at}.enabled", True):
        found["enabled"] = False
    for name in ("repository", "image", "version"):
        if value := fields.text(f"{at}.{name}"):
            found[name] = value
    policy = fields.text(f"{at}.imagePullPolicy")
    if policy and policy != "IfNotPresent":
        found["imagePullPolicy"] = policy
    if resources := fields.take(f"{at}.resources", dict):
        found["resources"] = resources
    for name in ("env", "args"):
        if given := fields.take(f"{at}.{name}", list):
            found[name] = given
    return found


def _agent(fields: Fields, note: Note) -> Json:
    """Device plugin, feature discovery, MIG manager and MPS daemon are one. Their variables are the same."""
    found: Json = {}
    if not fields.truth("spec.devicePlugin.enabled", True):
        found["enabled"] = False
        note(
            "spec.devicePlugin.enabled: false: without the agent there are no labels, no MIG and no validation here either"
        )
        fields.drop("spec.gfd.enabled")
        fields.drop("spec.migManager.enabled")
    for name, what in (
        ("gfd", "labels nodes"),
        ("migManager", "cuts GPUs as the label nvidia.com/mig.config has it"),
    ):
        if not fields.truth(f"spec.{name}.enabled", True):
            note(f"spec.{name}.enabled: false: the agent {what} all the same")
    args: list[Any] = []
    if default := fields.text("spec.devicePlugin.config.default"):
        args += ["--config-default", default]
    if config := fields.text("spec.devicePlugin.config.name"):
        found["config"] = config
        note(f"spec.devicePlugin.config.name: copy the ConfigMap {config} into the namespace {NAMESPACE}")
    args += fields.take("spec.devicePlugin.args", list) or []
    env = [*(fields.take("spec.devicePlugin.env", list) or ()), *(fields.take("spec.gfd.env", list) or ())]
    if (strategy := fields.text("spec.mig.strategy")) and not any(
        isinstance(one, dict) and one.get("name") == "MIG_STRATEGY" for one in env
    ):
        env.append({"name": "MIG_STRATEGY", "value": strategy})
    if env:
        found["env"] = list(
            {one["name"]: one for one in env if isinstance(one, dict) and "name" in one}.values()
        )
    if resources := fields.take("spec.devicePlugin.resources", dict):
        found["resources"] = resources
    _default(fields, "spec.devicePlugin.mps.root", "/run/nvidia/mps")
    if mig := fields.text("spec.migManager.config.name"):
        target = f"{NAMESPACE}/{MIG_CONFIG_MAP}"
        note(f"spec.migManager.config.name: copy the ConfigMap {mig} to {target}, under the key config.yaml")
    _default(fields, "spec.migManager.config.default", "all-disabled")
    for name in ("devicePlugin", "gfd", "migManager"):
        _images(fields, f"spec.{name}", note, "the agent's is Aliquot's own")
    return {**found, **({"args": args} if args else {})}


def _validator(fields: Fields) -> Json:
    found: Json = {}
    given = fields.take("spec.validator.plugin.env", list) or []
    if {"name": "WITH_WORKLOAD", "value": "false"} in given:
        found["workload"] = False
    if others := [one for one in given if one.get("name") != "WITH_WORKLOAD"]:
        fields.put("spec.validator.plugin.env", others)
    if resources := fields.take("spec.validator.resources", dict):
        found["resources"] = resources
    return found


def _pods(fields: Fields, at: str) -> Json:
    found: Json = {}
    for name in ("labels", "annotations"):
        if value := fields.take(f"{at}.{name}", dict):
            found[name] = value
    priority = fields.text(f"{at}.priorityClassName")
    if priority and priority != "system-node-critical":
        found["priorityClassName"] = priority
    tolerations = fields.take(f"{at}.tolerations", list) or []
    # Ours are tolerated unasked.
    kept = [one for one in tolerations if one != _TOLERATED]
    if kept:
        found["tolerations"] = kept
    return found


def _host_paths(fields: Fields) -> Json:
    _default(fields, "spec.hostPaths.rootFS", "/")
    wanted = {"driverInstallDir": "/run/nvidia/driver", "kubeletRootDir": "/var/lib/kubelet"}
    found = {name: fields.text(f"spec.hostPaths.{name}") for name in wanted}
    return {name: value for name, value in found.items() if value and value != wanted[name]}


def _node_selector(fields: Fields) -> Json:
    found: Json = {}
    if labels := fields.take("spec.nodeSelector", dict):
        found["matchLabels"] = labels
    at = "spec.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    terms = fields.take(at, list) or []
    if len(terms) == 1 and set(terms[0]) == {"matchExpressions"}:
        expressions = terms[0]["matchExpressions"]
        if all(one.get("operator") in ("In", "NotIn", "Exists", "DoesNotExist") for one in expressions):
            found["matchExpressions"] = expressions
            return found
    if terms:
        fields.put(at, terms)
    return found


def _leave_out(fields: Fields, note: Note) -> None:
    """What is turned off there, whole: there is nothing of it to be brought over."""
    sandbox = fields.take("spec.sandboxWorkloads.enabled", bool)
    if sandbox:
        fields.put("spec.sandboxWorkloads.enabled", True)
    else:
        fields.drop("spec.sandboxWorkloads")
    for name in (*_SANDBOX, *_SERVICES):
        block = fields.take(f"spec.{name}", dict)
        if block is None:
            continue
        is_on = block.get("enabled", name not in _SERVICES)
        if name in _SANDBOX and not sandbox:
            is_on = False
        if is_on:
            fields.put(f"spec.{name}", block)
        else:
            reason = "is off" if name in _SERVICES else "is of sandbox workloads, which are off"
            note(f"spec.{name}: left out: it {reason}")
    _off(fields, "spec.driver.rdma")
    _off(fields, "spec.driver.useNvidiaDriverCRD")


def _off(fields: Fields, path: str) -> None:
    """A switch, or a block with one: where it is off there is nothing to be said of it."""
    found = fields.take(path, object)
    is_on = found.get("enabled") if isinstance(found, dict) else found
    if is_on:
        fields.put(path, found)


def _images(fields: Fields, at: str, note: Note, why: str) -> None:
    given = [
        name for name in ("repository", "image", "version", "imagePullPolicy") if fields.text(f"{at}.{name}")
    ]
    if given:
        note(f"{at}.{{{','.join(given)}}}: left out: {why}")


def _default(fields: Fields, path: str, value: Any) -> None:
    """As it is here anyway: there is nothing to be said of it."""
    found = fields.take(path, object)
    if found is not None and found != value:
        fields.put(path, found)


def _filled(found: Json) -> Json:
    return {name: value for name, value in found.items() if value not in ({}, [])}
