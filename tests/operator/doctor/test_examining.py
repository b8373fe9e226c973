"""What the doctor finds, and what it says is to be done: a row for each thing that can be wrong."""

from dataclasses import dataclass

import pytest

from aliquot.kube.resources import CRDS, DAEMONSETS, GPUPOLICIES, LEASES, RUNTIMECLASSES, SECRETS
from aliquot.operator.doctor.examining import examine
from aliquot.operator.doctor.findings import Weight
from aliquot.operator.doctor.seen import Seen
from tests.operator.doctor.clusters import (
    FOUND,
    LABELS,
    deployment,
    gpu_node,
    lease,
    node,
    nodes,
    operand_pod,
    part_pod,
    policy,
    served,
    stuck,
    webhook,
    well,
)


@dataclass(frozen=True)
class Row:
    what: str
    seen: Seen
    about: str
    """Kind and names."""
    reason: str
    message: str
    advice: str
    """As the message, a part of it."""


LATE = ("False", "DeadlineExceeded", "not within 1200 s: its pod is not ready yet")
STARTS = ("False", "Starting", "its pod is not ready yet")
BACK_OFF = 'Back-off pulling image "nvcr.io/nvidia/driver:1-ubuntu24.04"'
OUTDATED = ("True", "Outdated", "it runs, and is to be exchanged")
SKIP = "nvidia.com/gpu-driver-upgrade.skip"
STATE = "nvidia.com/gpu-driver-upgrade-state"

TO_DO = [
    # The installation.
    Row("no kind", well(crds=served(without="gpupolicies.aliquot.dev")), "CustomResourceDefinition gpupolicies.aliquot.dev", "CRDMissing", "does not have the kind", "aliquot install"),
    Row("a kind that is not served", well(crds=served(pending="gpunodes.aliquot.dev")), "CustomResourceDefinition gpunodes.aliquot.dev", "CRDNotServed", "does not serve", "kubectl describe crd gpunodes.aliquot.dev"),
    Row("an earlier version's kind", well(crds=served(older="gpupolicies.aliquot.dev")), "CustomResourceDefinition gpupolicies.aliquot.dev", "CRDOutdated", "it does not know spec.upgrade,", "aliquot install"),
    Row("nobody follows", well(deployments=[], leases={}, policies=[policy(seen=0)]), "", "OperatorAbsent", "nobody follows GPUPolicy default", "aliquot install"),
    Row("nobody follows any more", well(deployments=[], leases={"aliquot-operator": lease(age_s=900)}, policies=[policy(seen=0)]), "", "OperatorAbsent", "nobody keeps its lease", "aliquot operator run"),
    Row("an upgrade that was left", well(deployments=[], leases={"aliquot-operator": lease(age_s=900)}, nodes=[node(labels={**LABELS, STATE: "drain-required"})]), "", "OperatorAbsent", "nobody goes on with the upgrade of node a", "aliquot operator run"),
    Row("pods that do nothing", well(leases={}, policies=[policy(seen=0)]), "Deployment aliquot-operator", "NobodyLeads", "none has taken the lease", "logs deployment/aliquot-operator"),
    Row("no replica", well(deployments=[deployment(ready=0)]), "Deployment aliquot-operator", "NotReady", "no pod that is ready", "kubectl -n aliquot-system logs deployment/aliquot-operator"),
    Row("a replica that finds no node", well(deployments=[deployment(ready=0)], pods=[part_pod("aliquot-operator", waits="Unschedulable")]), "Deployment aliquot-operator", "NotReady", "Unschedulable: 0/3 nodes", "describe pods -l app.kubernetes.io/name=aliquot-operator"),
    Row("a replica that crashes", well(deployments=[deployment(ready=0)], pods=[part_pod("aliquot-operator", waits="CrashLoopBackOff")]), "Deployment aliquot-operator", "NotReady", "CrashLoopBackOff", "logs deployment/aliquot-operator"),
    Row("a replica that is refused", well(deployments=[deployment(ready=0, refused="exceeded quota: q")]), "Deployment aliquot-operator", "FailedCreate", "exceeded quota: q", "kubectl -n aliquot-system get resourcequotas,limitranges"),
    Row("discovery that is refused", well(nodes=[node(labels={})], discovery_refused="exceeded quota: q"), "DaemonSet aliquot-discovery", "FailedCreate", "exceeded quota: q", "resourcequotas"),
    Row("scaled to zero", well(deployments=[deployment(replicas=0, ready=0)]), "Deployment aliquot-operator", "ScaledToZero", "nodes stay as they are", "--replicas 1"),
    Row("nobody leads", well(leases={"aliquot-operator": lease(age_s=900)}), "Lease aliquot-operator", "LeaseStale", "for 900 s", "logs deployment/aliquot-operator"),
    Row("a scheduler that does not lead", well(deployments=[deployment(), deployment("aliquot-scheduler")], leases={"aliquot-operator": lease(), "aliquot-scheduler": lease("aliquot-scheduler", age_s=90)}), "Lease aliquot-scheduler", "LeaseStale", "for 90 s", "logs deployment/aliquot-scheduler"),
    Row("no discovery", well(nodes=[node(labels={})], daemon_sets=[]), "", "NoDiscovery", "no Node Feature Discovery", "kubectl label node NODE nvidia.com/gpu.present=true"),
    Row("no runtime class", well(runtime_classes=frozenset()), "RuntimeClass nvidia", "RuntimeClassMissing", "are refused without it", "auth can-i create runtimeclasses"),
    Row("no authority", well(webhook=webhook(bundle=b"")), "MutatingWebhookConfiguration aliquot-gpu-class", "NoAuthority", "pods that name a GPUClass are refused", "rollout restart deployment aliquot-admission"),
    Row("an authority that has ended", well(webhook=webhook(authority_days=-1)), "MutatingWebhookConfiguration aliquot-gpu-class", "AuthorityEnded", "has ended", "rollout restart"),
    Row("a certificate that has ended", well(webhook=webhook(days=-1)), "MutatingWebhookConfiguration aliquot-gpu-class", "CertificateEnded", "has ended", "rollout restart"),
    Row("a certificate about to end", well(webhook=webhook(days=3)), "MutatingWebhookConfiguration aliquot-gpu-class", "CertificateNotRenewed", "ends in 3.0 days", "rollout restart"),
    Row("another's certificate", well(webhook=webhook(signer=1)), "MutatingWebhookConfiguration aliquot-gpu-class", "CertificateNotTrusted", "another authority", "describe certificates"),
    # Policies.
    Row("no policy", well(policies=[], nodes=[node(labels={FOUND: "true"})]), "", "NoPolicy", "nodes with GPUs: 1", "kubectl apply -f -"),
    Row("a spec that is refused", well(policies=[policy(spec={"driver": {"enabled": False}})]), "GPUPolicy default", "SpecRefused", "toolkit needs the driver", "kubectl edit gpupolicy default"),
    Row("policies that overlap", well(policies=[policy(degraded=("OverlappingPolicies", "nodes that an older policy is for are left to it: a"))]), "GPUPolicy default", "OverlappingPolicies", "left to it: a", "spec.nodeSelector"),
    # Nodes.
    Row("a node that is down", well(nodes=[node(ready="Unknown")]), "Node a", "NodeNotReady", "kubelet", "kubectl describe node a"),
    Row("a node of nobody", well(policies=[policy(spec={"nodeSelector": {"matchLabels": {"pool": "b"}}})]), "Node a", "NoPolicyForNode", "no GPUPolicy selects it", "spec.nodeSelector"),
    Row("no such image", stuck(operand_pod("driver", waits="ImagePullBackOff", message=BACK_OFF), DriverReady=STARTS), "Node a", "ImagePullBackOff", f"DriverReady: driver: {BACK_OFF}", "spec.driver.repository, image and version of GPUPolicy default"),
    Row("no such image, for long", stuck(operand_pod("driver", waits="ImagePullBackOff", message=BACK_OFF), DriverReady=LATE), "Node a", "ImagePullBackOff", BACK_OFF, "imagePullSecrets"),
    Row("an image that is never pulled", stuck(operand_pod("agent", waits="ErrImageNeverPull"), AgentReady=STARTS), "Node a", "ErrImageNeverPull", "AgentReady", "spec.agent.imagePullPolicy"),
    Row("a driver that crashes", stuck(operand_pod("driver", waits="CrashLoopBackOff", message="back-off 5m0s"), DriverReady=STARTS), "Node a", "CrashLoopBackOff", "back-off 5m0s", "kubectl -n aliquot-system logs driver-x -c driver --previous"),
    Row("a driver that cannot unload the last", stuck(operand_pod("driver", container="unload-last-driver", waits="CrashLoopBackOff", message="module nvidia is in use"), DriverReady=STARTS), "Node a", "CrashLoopBackOff", "module nvidia is in use", "kubectl annotate node a nvidia.com/gpu-driver-upgrade-requested=true"),
    Row("... and has tried once more", stuck(operand_pod("driver", container="unload-last-driver", ended="module nvidia is in use"), DriverReady=LATE), "Node a", "Starting", "module nvidia is in use", "logs driver-x -c unload-last-driver --previous"),
    Row("a validator that the runtime refuses", stuck(operand_pod("validator", waits="RunContainerError", message="unresolvable CDI devices"), Validated=STARTS), "Node a", "RunContainerError", "unresolvable CDI devices", "describe pod validator-x; where it knows no runtime nvidia"),
    Row("a Secret that is not there", stuck(operand_pod("exporter", waits="CreateContainerConfigError", message='secret "x" not found'), ExporterReady=STARTS), "Node a", "CreateContainerConfigError", 'secret "x" not found', "describe pod exporter-x"),
    Row("no room", stuck(operand_pod("toolkit", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "1 Insufficient cpu"}]), ToolkitReady=STARTS), "Node a", "Unschedulable", "1 Insufficient cpu", "describe pod toolkit-x"),
    Row("a pod that is refused", stuck(ToolkitReady=("False", "FailedCreate", "its pod is forbidden: exceeded quota: q")), "Node a", "FailedCreate", "ToolkitReady: its pod is forbidden", "describe daemonset aliquot-default-toolkit"),
    Row("no pod", stuck(DriverReady=LATE), "Node a", "NoPod", "not within 1200 s", "describe daemonset aliquot-default-driver"),
    Row("no pod of a driver", well(nodes=[node(labels={**LABELS, "aliquot.dev/driver-pool": "ubuntu24.04"})], gpu_nodes={"a": gpu_node(DriverReady=LATE)}), "Node a", "NoPod", "not within 1200 s", "describe daemonset aliquot-default-driver-ubuntu24-04 "),
    Row("a driver that is started again, once more", stuck(operand_pod("driver", ended="NVRM: no"), DriverReady=LATE), "Node a", "Starting", "it ended with code 1, once: NVRM: no", "kubectl -n aliquot-system logs driver-x -c driver"),
    Row("a pod that is never ready", stuck(operand_pod("driver"), DriverReady=LATE), "Node a", "DeadlineExceeded", "not within 1200 s", "logs driver-x"),
    *(
        Row(f"an agent's configuration: {reason}", well(gpu_nodes={"a": gpu_node(Configured=("False", reason, "as the agent says"))}), "Node a", reason, "Configured: as the agent says", advice)
        for reason, advice in (
            ("NoSuchConfigMap", "spec.agent.config of GPUPolicy default"),
            ("NoSuchConfig", "kubectl label node a nvidia.com/device-plugin.config=NAME"),
            ("BadConfig", "edit configmap"),
            ("DoesNotFit", "kubectl describe gpunode a"),
        )
    ),
    Row("no driver for its system", stuck(DriverReady=("False", "NoDriverImage", "there are no driver images for Foo")), "Node a", "NoDriverImage", "no driver images for Foo", "spec.driver.preinstalled: true"),
    Row("kubelet takes no devices", stuck(AgentReady=("False", "NotRegistered", "nvidia.com/gpu: no answer")), "Node a", "NotRegistered", "no answer", "spec.hostPaths.kubeletRootDir"),
    Row("no GPU", stuck(AgentReady=("False", "NoGPU", "the driver lists no GPU")), "Node a", "NoGPU", "lists no GPU", "component=driver"),
    Row("a GPU that is ill", stuck(AgentReady=("False", "UnhealthyGPU", "GPU 0: XID 79")), "Node a", "UnhealthyGPU", "XID 79", "kubectl describe gpunode a"),
    *(
        Row(f"validation: {reason}", stuck(Validated=("False", "ValidationFailed", "x"), ChecksPassed=("False", reason, "as the validator says")), "Node a", reason, "Validated: as the validator says", advice)
        for reason, advice in (
            ("DriverNotAnswering", "component=driver"),
            ("ToolkitNotWorking", "component=toolkit"),
            ("NothingAdvertised", "component=agent"),
            ("WorkloadFailed", "what any pod with a GPU would meet"),
        )
    ),
    *(
        Row(f"slices: {reason}", stuck(MIGReady=("False", reason, "as the agent says")), "Node a", reason, "MIGReady: as the agent says", advice)
        for reason, advice in (
            ("NoSuchConfig", "kubectl label node a nvidia.com/mig.config=NAME"),
            ("BadConfig", "edit configmap default-mig-parted-config"),
            ("NoSuchGPU", "kubectl edit gpunode a"),
            ("RebootRequired", "reboot the node"),
        )
    ),
    Row("checks that fail by now", well(gpu_nodes={"a": gpu_node(ChecksPassed=("False", "DriverNotAnswering", "gone"))}), "Node a", "DriverNotAnswering", "gone", "component=driver"),
    # Upgrades.
    Row("an upgrade to what there is not", well(nodes=[node(labels={**LABELS, STATE: "pod-restart-required"})], gpu_nodes={"a": gpu_node("a", DriverReady=STARTS)}, pods=[operand_pod("driver", waits="ErrImagePull")]), "Node a", "ErrImagePull", "DriverReady", "spec.driver.repository"),
    Row("an upgrade that failed", well(nodes=[node(labels={**LABELS, STATE: "upgrade-failed"}, upgrade="not validated within 600 s")]), "Node a", "UpgradeFailed", "not validated within 600 s", "kubectl annotate node a aliquot.dev/driver-upgrade-retry=true"),
    *(
        Row(f"an upgrade that failed: {why}", well(nodes=[node(labels={**LABELS, STATE: "upgrade-failed"}, upgrade=why)]), "Node a", "UpgradeFailed", why, advice)
        for why, advice in (
            ("d/p did not leave within 300 s: The disruption budget b needs 1 healthy pods", "lets none go: kubectl get pdb -A"),
            ("d/p would not come back, and eviction by force is off", "spec.upgrade.eviction.force"),
            ("d/p has an emptyDir that would be lost, and deleteEmptyDir is off", "spec.upgrade.eviction.deleteEmptyDir"),
            ("d/p did not leave within 300 s", "kubectl describe node a; then to try again"),
            ("the new driver restarted 11 times", "component=driver"),
            ("not validated within 600 s after the upgrade", "component=validator"),
            ("the operands that use the driver did not leave the node", "get pods --field-selector spec.nodeName=a"),
        )
    ),
    Row("and left a cordon", well(nodes=[node(labels={**LABELS, STATE: "upgrade-failed"}, cordoned=True)]), "Node a", "UpgradeFailed", "and the node is cordoned", "kubectl uncordon a"),
    Row("a state of nobody's", well(nodes=[node(labels={**LABELS, STATE: "almost"})]), "Node a", "UnknownUpgradeState", "'almost'", f"kubectl label node a {STATE}-"),
    Row("a driver that does not fit", well(nodes=[node(upgrade="there are no driver images for Foo")]), "Node a", "UpgradeHeldBack", "no driver images for Foo", "spec.driver.preinstalled"),
]  # fmt: skip


@pytest.mark.parametrize("row", TO_DO, ids=lambda row: row.what)
def test_what_is_to_be_done(row: Row) -> None:
    (found,) = [one for one in examine(row.seen) if one.weight is Weight.TO_DO]
    assert " ".join(part for part in (found.kind, *found.names) if part) == row.about
    assert found.reason == row.reason
    assert row.message in found.message
    assert row.advice in found.advice


NOTES = [
    ("nothing at all", well(), []),
    ("a driver that starts", stuck(operand_pod("driver"), DriverReady=STARTS), ["Starting"]),
    ("MIG that waits", stuck(MIGReady=("False", "InUse", "GPU 0 is in use")), ["InUse"]),
    ("a configuration that waits", well(gpu_nodes={"a": gpu_node(Configured=("False", "WaitingForUsers", "GPU 0 is held"))}), ["WaitingForUsers"]),
    ("what an agent that has gone has said", stuck(operand_pod("agent"), AgentReady=STARTS, Configured=("False", "NoSuchConfigMap", "x")), ["Starting"]),
    ("a node that is new", well(gpu_nodes={}), ["NotFollowedYet"]),
    ("a policy that is new", well(policies=[policy(seen=0)]), ["NotObserved"]),
    ("an upgrade under way", well(nodes=[node(labels={**LABELS, STATE: "drain-required"}, upgrade="waits for d/p to leave")]), ["Upgrading"]),
    ("an upgrade whose driver starts", well(nodes=[node(labels={**LABELS, STATE: "pod-restart-required"})], gpu_nodes={"a": gpu_node("a", DriverReady=STARTS)}), ["Upgrading"]),
    ("a driver that is left by hand", well(policies=[policy(spec={"upgrade": {"auto": False}})], gpu_nodes={"a": gpu_node(DriverReady=OUTDATED)}), ["LeftAtItsDriver"]),
    ("a driver that its label leaves", well(nodes=[node(labels={**LABELS, SKIP: "true"})], gpu_nodes={"a": gpu_node(DriverReady=OUTDATED)}), ["LeftAtItsDriver"]),
    ("a driver that is about to be upgraded", well(gpu_nodes={"a": gpu_node(DriverReady=OUTDATED)}), []),
    ("an upgrade that waits", well(nodes=[node(labels={**LABELS, STATE: "upgrade-required"})]), ["UpgradeWaits"]),
    ("an upgrade that is done", well(nodes=[node(labels={**LABELS, STATE: "upgrade-done"})]), []),
    ("a cordon that nobody takes off", well(nodes=[node(cordoned=True, labels={**LABELS, STATE: "upgrade-done"})]), ["Cordoned"]),
    ("a cordon of an upgrade", well(nodes=[node(cordoned=True, labels={**LABELS, STATE: "drain-required"})]), ["Upgrading"]),
    ("an operand that a user refuses", well(nodes=[node(labels={**LABELS, "nvidia.com/gpu.deploy.driver": "false"})]), ["LeftOut"]),
    ("no GPU anywhere", well(nodes=[node(labels={})]), ["NoGPUNodes"]),
    ("no GPU, as NFD says", well(nodes=[node(labels={"feature.node.kubernetes.io/x": "1"})], daemon_sets=[]), ["NoGPUNodes"]),
    ("GPUs by hand", well(daemon_sets=[], nodes=[node(labels={"nvidia.com/gpu.present": "true"})]), ["NotFollowedYet"]),
    ("an operator without a lease", well(deployments=[], leases={}), []),
    ("an operator outside", well(deployments=[]), []),
    ("a webhook that is well", well(webhook=webhook()), []),
    ("a Secret that may not be seen", well(unread={SECRETS: "secrets is forbidden"}), ["NotLookedAt"]),
    ("no nodes", well(nodes=[], gpu_nodes={}), []),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "reasons"), [row[1:] for row in NOTES], ids=[row[0] for row in NOTES])
def test_what_is_only_to_be_known(seen: Seen, reasons: list[str]) -> None:
    found = examine(seen)
    assert [one.reason for one in found] == reasons
    assert not [one for one in found if one.weight is Weight.TO_DO]


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("d/p stays: The disruption budget b needs 1 healthy pods", "kubectl get pdb -A"),
        ("waits for d/p to leave", ""),
    ],
)
def test_what_keeps_an_upgrade_is_advised_before_it_fails(why: str, advice: str) -> None:
    seen = well(nodes=[node(labels={**LABELS, STATE: "pod-deletion-required"}, upgrade=why)])
    (found,) = examine(seen)
    assert (found.weight, found.reason) == (Weight.NOTE, "Upgrading")
    assert advice in found.advice
    assert bool(found.advice) is bool(advice)


def test_what_is_about_to_be_exchanged_is_not_to_be_mended() -> None:
    waits = "1 nodes are to be upgraded: node b has to stay well for 600 s"
    progressing = {"type": "Progressing", "status": "True", "reason": "UpgradeWaits", "message": waits}
    changed = policy()
    changed["status"]["conditions"].append(progressing)
    seen = well(
        policies=[changed],
        nodes=[node(labels={**LABELS, STATE: "upgrade-required"})],
        gpu_nodes={"a": gpu_node("a", DriverReady=STARTS)},
        pods=[operand_pod("driver", waits="ImagePullBackOff")],
    )
    (found,) = examine(seen)
    assert (found.weight, found.reason) == (Weight.NOTE, "UpgradeWaits")
    assert found.message.endswith(f"waits for its turn: {waits}")


UNSEEN = [
    ("kinds", well(crds={}, unread={CRDS: "no"})),
    ("policies", well(policies=[], unread={GPUPOLICIES: "no"})),
    ("runtime classes", well(runtime_classes=frozenset(), unread={RUNTIMECLASSES: "no"})),
    ("leases", well(leases={}, deployments=[], policies=[policy(seen=0)], unread={LEASES: "no"})),
    ("daemon sets", well(nodes=[node(labels={})], daemon_sets=[], unread={DAEMONSETS: "no"})),
]


@pytest.mark.parametrize("seen", [row[1] for row in UNSEEN], ids=[row[0] for row in UNSEEN])
def test_what_may_not_be_seen_is_not_missed(seen: Seen) -> None:
    assert [one.reason for one in examine(seen) if one.weight is Weight.TO_DO] == ["NotLookedAt"]


def test_only_the_first_step_that_is_stuck_is_told() -> None:
    seen = stuck(DriverReady=LATE, ToolkitReady=("Unknown", "WaitingForDriver", ""), Validated=LATE)
    assert [one.reason for one in examine(seen)] == ["NoPod"]


def test_what_is_the_same_of_many_is_said_once() -> None:
    names = [f"n{number}" for number in range(50)]
    seen = well(nodes=nodes(*names), gpu_nodes={name: gpu_node(name, DriverReady=LATE) for name in names})
    (found,) = examine(seen)
    assert (found.reason, found.names) == ("NoPod", tuple(sorted(names)))


def test_what_is_to_be_done_comes_first() -> None:
    seen = well(
        nodes=nodes("a", "b"),
        gpu_nodes={"a": gpu_node("a", DriverReady=STARTS), "b": gpu_node("b", DriverReady=LATE)},
    )
    assert [one.names for one in examine(seen)] == [("b",), ("a",)]
