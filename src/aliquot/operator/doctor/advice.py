"""What to do about each reason for which a node does not get on."""

from collections.abc import Mapping
from dataclasses import dataclass

from aliquot.operator.core.rendering.operands import UNLOADS_LAST
from aliquot.operator.core.upgrade.states import REQUESTED


@dataclass(frozen=True, slots=True)
class Place:
    """What an advice speaks of."""

    node: str
    policy: str
    operand: str
    """Of spec; empty: no operand's."""
    namespace: str
    daemon_set: str
    pod: str = ""
    container: str = ""

    @property
    def logs(self) -> str:
        where = f"{self.pod or f'ds/{self.daemon_set}'}"
        container = f" -c {self.container}" if self.container else ""
        return f"kubectl -n {self.namespace} logs {where}{container}"


_IMAGE = (
    "see whether there is such an image and the node may have it: spec.{operand}.repository, image and version of GPUPolicy "
    "{policy}, and spec.pods.imagePullSecrets where its registry asks who comes"
)
_RUNTIME = (
    "see what the container runtime says: kubectl -n {namespace} describe pod {pod}; where it knows no runtime nvidia, or no "
    "device: {toolkit_logs}"
)
_DRIVER = "see the driver's log, and the node's kernel log for lines with NVRM: {driver_logs}"
_TOOLKIT = "see the toolkit's log: {toolkit_logs}; containerd has to know the runtime nvidia, and has to be restarted after that"
_AGENT = "see what the agent says of each GPU: kubectl describe gpunode {node}; its log: {agent_logs}"
_NOBODY = (
    "see why the DaemonSet makes no pod there: kubectl -n {namespace} describe daemonset {daemon_set} (a quota, a webhook, the "
    "Pod Security of the namespace)"
)

TO_DO: Mapping[str, str] = {
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "InvalidImageName": _IMAGE,
    "ErrImageNeverPull": "the image is not on the node, and spec.{operand}.imagePullPolicy of GPUPolicy {policy} is Never",
    "CrashLoopBackOff": "see how it ended: {logs} --previous",
    "RunContainerError": _RUNTIME,
    "CreateContainerError": _RUNTIME,
    "CreateContainerConfigError": "a ConfigMap or Secret that it names is not there: kubectl -n {namespace} describe pod {pod}",
    "Unschedulable": "see what keeps it off the node (room, ports, taints that spec.pods.tolerations of GPUPolicy {policy} has to "
    "tolerate): kubectl -n {namespace} describe pod {pod}",
    "Evicted": "the node is short of disk or memory: kubectl describe node {node}",
    "NoPod": _NOBODY,
    "FailedCreate": "give the namespace what it lacks (quota, limits), or let the pods through (an admission webhook or policy): "
    "kubectl -n {namespace} describe daemonset {daemon_set}; kubectl -n {namespace} get resourcequotas,limitranges",
    "NoDriverImage": "leave the driver to the node's image: a GPUPolicy for such nodes with spec.driver.preinstalled: true",
    "DeadlineExceeded": "see its log: {logs}",
    "NotReady": "see its log: {logs}",
    # The agent's, of the GPUNode.
    "NotRegistered": "kubelet does not take the agent's devices: is spec.hostPaths.kubeletRootDir of GPUPolicy {policy} where "
    "the node's kubelet is? {agent_logs}",
    "PodResourcesNotAnswering": "kubelet's socket pod-resources does not answer: is spec.hostPaths.kubeletRootDir of GPUPolicy "
    "{policy} where the node's kubelet is?",
    "NoGPU": "the driver finds no GPU: {driver_logs}; the node's kernel log has lines with NVRM",
    "UnhealthyGPU": _AGENT,
    "AgentStopped": "the agent does not run: kubectl -n {namespace} get pods --field-selector spec.nodeName={node}",
    "LayoutsDiffer": "with the MIG strategy single all GPUs have to be cut alike: kubectl describe gpunode {node}",
    "NoSuchConfigMap": "make it, or name one that is there in spec.agent.config of GPUPolicy {policy}: kubectl -n {namespace} get "
    "configmaps",
    "NoSuchConfig": "name a configuration that is there: kubectl label node {node} nvidia.com/device-plugin.config=NAME "
    "--overwrite, or take the label off",
    "BadConfig": "mend that configuration: kubectl -n {namespace} edit configmap NAME; the last that could be read counts meanwhile",
    # The validator's.
    "DriverNotAnswering": _DRIVER,
    "ToolkitNotWorking": _TOOLKIT,
    "NothingAdvertised": _AGENT,
    "WorkloadFailed": "what the message says of the pod is what any pod with a GPU would meet there; to try again: kubectl -n "
    "{namespace} delete pod {pod}",
    "ValidationFailed": "see the validator's log: {logs}",
}
"""Of reasons for which nothing comes of waiting."""


SLICES_TO_DO: Mapping[str, str] = {
    "NoSuchConfig": "name a configuration that is there: kubectl label node {node} nvidia.com/mig.config=NAME --overwrite, or take "
    "the label off; your own are in ConfigMap default-mig-parted-config",
    "BadConfig": "mend what the message names: kubectl -n {namespace} edit configmap default-mig-parted-config, or the node's "
    "annotation",
    "NoSuchGPU": "take it out of the GPUNode's spec, or put it back into the node: kubectl edit gpunode {node}",
    "RebootRequired": "reboot the node: its GPUs change their MIG mode only then",
}
"""The same of how GPUs are cut, where nobody else comes to mend it."""
_IN_USE = (
    "somebody uses the driver that is to be unloaded. The upgrade of the node sends them away once its turn comes; where "
    f"spec.upgrade.auto of GPUPolicy {{policy}} is false, ask for it: kubectl annotate node {{node}} {REQUESTED}=true. Pods of DaemonSets "
    "with GPUs, and processes outside of pods, have to be ended by hand: kubectl get pods -A --field-selector "
    "spec.nodeName={node}; its log: {logs} --previous"
)
_ENDS = frozenset({"CrashLoopBackOff", "Starting", "DeadlineExceeded"})
"""Reasons of a container that ends again and again."""
_FAILED_UPGRADES = (
    (
        "disruption budget",
        "its PodDisruptionBudget lets none go: kubectl get pdb -A; give it room (more replicas, or maxUnavailable), or more time in "
        "spec.upgrade.eviction.timeout",
    ),
    (
        "eviction by force is off",
        "nobody would make that pod anew: end it by hand, or set spec.upgrade.eviction.force (of a drain: drain.force)",
    ),
    (
        "deleteEmptyDir is off",
        "end that pod by hand, or set spec.upgrade.eviction.deleteEmptyDir (of a drain: drain.deleteEmptyDir)",
    ),
    ("the new driver", f"{_DRIVER}; has the node a driver of that version, and can it load it?"),
    ("not validated", "see the validator's log: {validator_logs}"),
    (
        "operands that use the driver",
        "see what keeps them: kubectl -n {namespace} get pods --field-selector spec.nodeName={node}",
    ),
    ("did not leave", "see what keeps it (a finalizer, a long grace period): kubectl describe node {node}"),
)
"""By what the operator says of why it failed."""


def after_failure(why: str, place: Place) -> str:
    """Of the upgrade of a driver, before it is tried again; empty: nothing is known to help."""
    found = next((text for said, text in _FAILED_UPGRADES if said in why), "")
    return _filled(found, place)


def to_do(reason: str, place: Place) -> str:
    """Empty: it takes its time."""
    if place.container == UNLOADS_LAST and reason in _ENDS:
        return _filled(_IN_USE, place)
    return _filled(TO_DO.get(reason, ""), place)


def to_do_for_slices(reason: str, place: Place) -> str:
    """Empty: it takes its time, or is tried again."""
    return _filled(SLICES_TO_DO.get(reason, ""), place)


def _filled(text: str, place: Place) -> str:
    others = {
        f"{operand}_logs": f"kubectl -n {place.namespace} logs -l app.kubernetes.io/component={operand} --prefix --tail 50"
        for operand in ("driver", "toolkit", "agent", "validator")
    }
    return text.format(
        node=place.node,
        policy=place.policy,
        operand=place.operand,
        namespace=place.namespace,
        daemon_set=place.daemon_set,
        pod=place.pod or "POD",
        logs=place.logs,
        **others,
    )
