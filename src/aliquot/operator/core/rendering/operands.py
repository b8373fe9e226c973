"""One function for each operand."""

from collections.abc import Iterable

from aliquot.kube.api.gpupolicy import KernelModule
from aliquot.operator.core.operands import Image, OperandName, manager_image
from aliquot.operator.core.policies import Policy
from aliquot.operator.core.pools import POOL_LABEL, Pool
from aliquot.operator.core.rendering.pods import (
    HIDDEN,
    NODE_NAME,
    PRIVILEGED,
    HostPath,
    Json,
    container,
    daemon_set,
    digest,
    exec_probe,
)

"""NVIDIA's: unloads the modules of the last driver before the next is loaded. Evictions are ours."""
UNLOADS_LAST = "unload-last-driver"
"""Its container."""
LOADED_AS = "DRIVER_CONFIG_DIGEST"
"""What NVIDIA's containers go by to tell whether the driver that is loaded is the one that is wanted."""
_RUN_NVIDIA = HostPath("run-nvidia", "/run/nvidia", propagation="Bidirectional")
_HOST = HostPath("host-root", "/", "/host", read_only=True, propagation="HostToContainer", kind="")
_EXPORTER_PORT = 9400
_AGENT_PORT = 9410
_VALIDATOR_PORT = 9411
METRICS_PORTS = (_EXPORTER_PORT, _AGENT_PORT, _VALIDATOR_PORT)
"""Not the exporter's, which is on the same nodes."""

_WAITED_FOR_S = 5
"""Between two looks whether the agent, or the validator, is ready: they are within seconds, and each node waits for both."""
_EVERYTHING_OF_GPUS: tuple[Json, ...] = (
    {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
    # NVML and nvidia-smi; nvidia-cuda-mps-control.
    {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"},
    {"name": "NVIDIA_MIG_CONFIG_DEVICES", "value": "all"},
    {"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"},
)


def manifests(policy: Policy, namespace: str, pools: Iterable[Pool]) -> list[Json]:
    """Of all operands that somebody is to run; `pools`: those that the policy's nodes are of."""
    found: list[Json] = []
    if policy.operands[OperandName.DRIVER].wanted:
        found += [driver(policy, namespace, pool) for pool in sorted(set(pools), key=lambda pool: pool.key)]
    for name, render in (
        (OperandName.TOOLKIT, toolkit),
        (OperandName.AGENT, agent),
        (OperandName.EXPORTER, exporter),
        (OperandName.VALIDATOR, validator),
    ):
        if policy.operands[name].wanted:
            found.append(render(policy, namespace))
    return found


def driver(policy: Policy, namespace: str, pool: Pool) -> Json:
    plan = policy.operands[OperandName.DRIVER]
    kernel_module = policy.spec.driver.kernel_module_type
    image = str(Image(plan.image.repository, plan.image.name, pool.tag(plan.image.version)))
    manager_volumes = (
        _RUN_NVIDIA,
        _HOST,
        HostPath("host-sys", "/sys", kind=""),
    )
    volumes = (
        *manager_volumes,
        HostPath("var-log", "/var/log", kind=""),
        HostPath("host-os-release", "/etc/os-release", "/host-etc/os-release", read_only=True, kind="File"),
    )
    env = [HIDDEN, NODE_NAME]
    if kernel_module is not KernelModule.AUTO:
        env.append({"name": "KERNEL_MODULE_TYPE", "value": str(kernel_module)})
    loads = container(
        plan,
        "driver",
        (_RUN_NVIDIA, *volumes[3:]),
        image=image,
        command=["nvidia-driver"],
        args=["init"],
        env=env,
        securityContext=PRIVILEGED,
        # Building a module takes minutes: until it has been loaded once nothing else is asked.
        startupProbe=exec_probe(
            "sh", "-c", "nvidia-smi && touch /run/nvidia/driver-loaded", failures=120, timeout_s=60
        ),
        readinessProbe=exec_probe("nvidia-smi", every_s=30, timeout_s=60),
    )
    # What was loaded with the same one stays loaded, and in use, when the pod is made anew.
    loaded = {"name": LOADED_AS, "value": digest({name: loads[name] for name in ("image", "args", "env")})}
    loads["env"] = [*(one for one in loads["env"] if one["name"] != LOADED_AS), loaded]
    manager = {
        "name": UNLOADS_LAST,
        "image": str(manager_image(policy.spec.driver)),
        "imagePullPolicy": "IfNotPresent",
        "command": ["driver-manager"],
        "args": ["uninstall_driver"],
        "env": [
            NODE_NAME,
            HIDDEN,
            {"name": "ENABLE_GPU_POD_EVICTION", "value": "false"},
            {"name": "ENABLE_AUTO_DRAIN", "value": "false"},
            loaded,
            {"name": "OPERATOR_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
        "securityContext": PRIVILEGED,
        "volumeMounts": [one.mount for one in manager_volumes],
    }
    return daemon_set(
        policy,
        OperandName.DRIVER,
        namespace,
        containers=[loads],
        init=[manager],
        volumes=volumes,
        account="aliquot-driver",
        suffix=pool.key,
        selector={POOL_LABEL: pool.key},
        on_delete=True,
        host_pid=True,
    )


def toolkit(policy: Policy, namespace: str) -> Json:
    plan, paths = policy.operands[OperandName.TOOLKIT], policy.spec.host_paths
    volumes = (
        HostPath("toolkit-install-dir", "/usr/local/nvidia"),
        HostPath("toolkit-root", "/run/nvidia/toolkit"),
        HostPath("driver-root", paths.driver_install_dir, "/driver-root", propagation="HostToContainer"),
        _HOST,
        HostPath("cdi", paths.cdi),
        HostPath("containerd-config", "/etc/containerd", "/runtime/config-dir"),
        HostPath("containerd-socket", "/run/containerd", "/runtime/sock-dir"),
    )
    env: list[Json] = [
        HIDDEN,
        {"name": "ROOT", "value": "/usr/local/nvidia"},
        {"name": "RUNTIME", "value": "containerd"},
        {"name": "RUNTIME_CONFIG", "value": "/runtime/config-dir/config.toml"},
        {"name": "CONTAINERD_SOCKET", "value": "/runtime/sock-dir/containerd.sock"},
        {"name": "TOOLKIT_PID_FILE", "value": "/run/nvidia/toolkit/toolkit.pid"},
        {"name": "NVIDIA_DRIVER_ROOT", "value": _driver_root(policy)},
        {"name": "DRIVER_ROOT_CTR_PATH", "value": "/driver-root"},
    ]
    runs = container(
        plan,
        "toolkit",
        volumes,
        command=["nvidia-toolkit"],
        env=env,
        securityContext=PRIVILEGED,
        readinessProbe=exec_probe("test", "-s", "/run/nvidia/toolkit/toolkit.pid"),
    )
    return daemon_set(
        policy,
        OperandName.TOOLKIT,
        namespace,
        containers=[runs],
        volumes=volumes,
        account="aliquot-toolkit",
        host_pid=True,
    )


def agent(policy: Policy, namespace: str) -> Json:
    plan, paths = policy.operands[OperandName.AGENT], policy.spec.host_paths
    volumes = (
        HostPath("device-plugins", f"{paths.kubelet_root_dir}/device-plugins"),
        HostPath("pod-resources", f"{paths.kubelet_root_dir}/pod-resources"),
        HostPath("cdi", paths.cdi),
        HostPath("state", "/var/lib/aliquot"),
        HostPath("mps", "/run/nvidia/mps", propagation="Bidirectional"),
        HostPath("driver-root", _driver_root(policy), "/driver-root", propagation="HostToContainer"),
        HostPath("dev", "/dev", kind=""),
        HostPath("sys", "/sys", kind=""),
    )
    config = policy.spec.agent.config
    args = [
        "node",
        "run",
        "--kubelet-dir",
        paths.kubelet_root_dir,
        "--cdi-dir",
        paths.cdi,
        "--state",
        "/var/lib/aliquot",
        "--driver-root",
        _driver_root(policy),
        "--driver-root-ctr-path",
        "/driver-root",
        "--fail-on-init-error",
        "false",
        "--mps-root",
        "/run/nvidia/mps",
        "--metrics-port",
        str(_AGENT_PORT),
        *(("--config-map", config) if config else ()),
    ]
    runs = container(
        plan,
        "agent",
        volumes,
        command=["aliquot"],
        args=args,
        env=[NODE_NAME, *_EVERYTHING_OF_GPUS],
        ports=[{"name": "metrics", "containerPort": _AGENT_PORT}],
        # Our image's user is nobody, who may neither cut GPUs nor talk to kubelet.
        securityContext={**PRIVILEGED, "runAsUser": 0},
        livenessProbe=_http("/healthz", _AGENT_PORT),
        readinessProbe=_http("/readyz", _AGENT_PORT, every_s=_WAITED_FOR_S),
    )
    made = daemon_set(
        policy,
        OperandName.AGENT,
        namespace,
        containers=[runs],
        volumes=volumes,
        account="aliquot-node-agent",
        host_pid=True,
    )
    toolkit = policy.operands[OperandName.TOOLKIT]
    return _with_gpus(made) if toolkit.wanted or toolkit.preinstalled else made


def exporter(policy: Policy, namespace: str) -> Json:
    plan, paths = policy.operands[OperandName.EXPORTER], policy.spec.host_paths
    volumes = (HostPath("pod-resources", f"{paths.kubelet_root_dir}/pod-resources", read_only=True),)
    env: list[Json] = [
        {"name": "DCGM_EXPORTER_LISTEN", "value": f":{_EXPORTER_PORT}"},
        {"name": "DCGM_EXPORTER_KUBERNETES", "value": "true"},
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        NODE_NAME,
    ]
    runs = container(
        plan,
        "exporter",
        volumes,
        env=env,
        ports=[{"name": "metrics", "containerPort": _EXPORTER_PORT}],
        securityContext={"capabilities": {"add": ["SYS_ADMIN"]}},
        readinessProbe=_http("/health", _EXPORTER_PORT),
    )
    made = daemon_set(
        policy,
        OperandName.EXPORTER,
        namespace,
        containers=[runs],
        volumes=volumes,
        account="aliquot-exporter",
    )
    return _with_gpus(made)


def validator(policy: Policy, namespace: str) -> Json:
    plan, template = policy.operands[OperandName.VALIDATOR], policy.spec.pods
    args = ["node", "validate", "--namespace", namespace, "--metrics-port", str(_VALIDATOR_PORT)]
    if policy.spec.validator.workload:
        args += ["--image", str(plan.image)]
        for secret in template.image_pull_secrets:
            args += ["--image-pull-secret", secret]
        for key, value in template.labels.items():
            args += ["--label", f"{key}={value}"]
    else:
        args.append("--no-workload")
    runs = container(
        plan,
        "validator",
        (),
        command=["aliquot"],
        args=args,
        env=[
            NODE_NAME,
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
            {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
        ],
        ports=[{"name": "metrics", "containerPort": _VALIDATOR_PORT}],
        securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        livenessProbe=_http("/healthz", _VALIDATOR_PORT),
        readinessProbe=_http("/readyz", _VALIDATOR_PORT, every_s=_WAITED_FOR_S),
    )
    made = daemon_set(
        policy, OperandName.VALIDATOR, namespace, containers=[runs], volumes=(), account="aliquot-validator"
    )
    return _with_gpus(made)


def _with_gpus(made: Json) -> Json:
    """The toolkit puts the driver's libraries and programs into its containers."""
    made["spec"]["template"]["spec"]["runtimeClassName"] = "nvidia"
    return made


def _driver_root(policy: Policy) -> str:
    """Where the driver's files are on the host: one that the node's image brought is in the host's own root."""
    if policy.operands[OperandName.DRIVER].wanted:
        return policy.spec.host_paths.driver_install_dir
    return "/"


def _http(path: str, port: int, *, every_s: int = 10) -> Json:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": every_s, "timeoutSeconds": 5}
