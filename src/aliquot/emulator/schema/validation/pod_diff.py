"""The difference that Kubernetes shows when a pod is changed where it may not be.

It is a unified diff of the two specs as Go prints its internal structs: every field in its declared place, unset
ones as null or zero. The table below says what these structs look like; everything else is difflib.
"""

import difflib
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

# One struct a line: its name, then its fields. A bare field is text; `?` a pointer, list or map that is null when
# unset; `#` a number; `!` a boolean; `*T`, `[]T` and `=T` a pointer to, a list of and a struct T; `+T` fields of T
# standing here. Kinds of volumes that nobody writes any more are `?`: shown as they are.
_STRUCTS = """
PodSpec Volumes[]Volume InitContainers[]Container Containers[]Container EphemeralContainers[]EphemeralContainer
 RestartPolicy TerminationGracePeriodSeconds? ActiveDeadlineSeconds? DNSPolicy NodeSelector? ServiceAccountName
 AutomountServiceAccountToken? NodeName SecurityContext*PodSecurityContext ImagePullSecrets[]LocalObjectReference
 Hostname Subdomain SetHostnameAsFQDN? Affinity*Affinity SchedulerName Tolerations[]Toleration
 HostAliases[]HostAlias PriorityClassName Priority? PreemptionPolicy? DNSConfig*PodDNSConfig
 ReadinessGates[]PodReadinessGate RuntimeClassName? Overhead? EnableServiceLinks?
 TopologySpreadConstraints[]TopologySpreadConstraint OS*PodOS SchedulingGates[]PodSchedulingGate
 ResourceClaims[]PodResourceClaim Resources*ResourceRequirements HostnameOverride? SchedulingGroup?
Volume Name HostPath*HostPathVolumeSource EmptyDir*EmptyDirVolumeSource GCEPersistentDisk? AWSElasticBlockStore?
 GitRepo? Secret*SecretVolumeSource NFS*NFSVolumeSource ISCSI? Glusterfs?
 PersistentVolumeClaim*PersistentVolumeClaimVolumeSource RBD? Quobyte? FlexVolume? Cinder? CephFS? Flocker?
 DownwardAPI*DownwardAPIVolumeSource FC? AzureFile? ConfigMap*ConfigMapVolumeSource VsphereVolume? AzureDisk?
 PhotonPersistentDisk? Projected*ProjectedVolumeSource PortworxVolume? ScaleIO? StorageOS? CSI*CSIVolumeSource
 Ephemeral? Image*ImageVolumeSource
HostPathVolumeSource Path Type?
EmptyDirVolumeSource Medium SizeLimit?
SecretVolumeSource SecretName Items[]KeyToPath DefaultMode? Optional?
NFSVolumeSource Server Path ReadOnly!
KeyToPath Key Path Mode?
PersistentVolumeClaimVolumeSource ClaimName ReadOnly!
DownwardAPIVolumeSource Items[]DownwardAPIVolumeFile DefaultMode?
DownwardAPIVolumeFile Path FieldRef*ObjectFieldSelector ResourceFieldRef*ResourceFieldSelector Mode?
ObjectFieldSelector APIVersion FieldPath
ResourceFieldSelector ContainerName Resource Divisor
ConfigMapVolumeSource Name Items[]KeyToPath DefaultMode? Optional?
LocalObjectReference Name
ProjectedVolumeSource Sources[]VolumeProjection DefaultMode?
VolumeProjection Secret*SourceProjection DownwardAPI*DownwardAPIProjection ConfigMap*SourceProjection
 ServiceAccountToken*ServiceAccountTokenProjection ClusterTrustBundle? PodCertificate?
SourceProjection Name Items[]KeyToPath Optional?
DownwardAPIProjection Items[]DownwardAPIVolumeFile
ServiceAccountTokenProjection Audience ExpirationSeconds# Path
CSIVolumeSource Driver ReadOnly? FSType? VolumeAttributes? NodePublishSecretRef*LocalObjectReference
ImageVolumeSource Reference PullPolicy
Container Name Image Command? Args? WorkingDir Ports[]ContainerPort EnvFrom[]EnvFromSource Env[]EnvVar
 Resources=ResourceRequirements ResizePolicy[]ContainerResizePolicy RestartPolicy?
 RestartPolicyRules[]ContainerRestartRule VolumeMounts[]VolumeMount VolumeDevices[]VolumeDevice
 LivenessProbe*Probe ReadinessProbe*Probe StartupProbe*Probe Lifecycle*Lifecycle TerminationMessagePath
 TerminationMessagePolicy ImagePullPolicy SecurityContext*SecurityContext Stdin! StdinOnce! TTY!
EphemeralContainer +Container TargetContainerName
ContainerPort Name HostPort# ContainerPort# Protocol HostIP
EnvFromSource Prefix ConfigMapRef*EnvSource SecretRef*EnvSource
EnvSource Name Optional?
EnvVar Name Value ValueFrom*EnvVarSource
EnvVarSource FieldRef*ObjectFieldSelector ResourceFieldRef*ResourceFieldSelector ConfigMapKeyRef*KeySelector
 SecretKeyRef*KeySelector FileKeyRef*FileKeySelector
KeySelector Name Key Optional?
FileKeySelector VolumeName Path Key Optional?
ResourceRequirements Limits? Requests? Claims[]ResourceClaim
ResourceClaim Name Request
ContainerResizePolicy ResourceName RestartPolicy
ContainerRestartRule Action ExitCodes*ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes Operator Values?
VolumeMount Name ReadOnly! RecursiveReadOnly? MountPath SubPath MountPropagation? SubPathExpr
VolumeDevice Name DevicePath
Probe +ProbeHandler InitialDelaySeconds# TimeoutSeconds# PeriodSeconds# SuccessThreshold# FailureThreshold#
 TerminationGracePeriodSeconds?
ProbeHandler Exec*ExecAction HTTPGet*HTTPGetAction TCPSocket*TCPSocketAction GRPC*GRPCAction
ExecAction Command?
HTTPGetAction Path Port# Host Scheme HTTPHeaders[]HTTPHeader
HTTPHeader Name Value
TCPSocketAction Port# Host
GRPCAction Port# Service?
Lifecycle PostStart*LifecycleHandler PreStop*LifecycleHandler StopSignal?
LifecycleHandler Exec*ExecAction HTTPGet*HTTPGetAction TCPSocket*TCPSocketAction Sleep*SleepAction
SleepAction Seconds#
SecurityContext Capabilities*Capabilities Privileged? SELinuxOptions*SELinuxOptions WindowsOptions? RunAsUser?
 RunAsGroup? RunAsNonRoot? ReadOnlyRootFilesystem? AllowPrivilegeEscalation? ProcMount?
 SeccompProfile*Profile AppArmorProfile*Profile
Capabilities Add? Drop?
SELinuxOptions User Role Type Level
Profile Type LocalhostProfile?
PodSecurityContext HostNetwork! HostPID! HostIPC! ShareProcessNamespace? HostUsers? SELinuxOptions*SELinuxOptions
 WindowsOptions? RunAsUser? RunAsGroup? RunAsNonRoot? SupplementalGroups? SupplementalGroupsPolicy? FSGroup?
 FSGroupChangePolicy? Sysctls[]Sysctl SeccompProfile*Profile AppArmorProfile*Profile SELinuxChangePolicy?
Sysctl Name Value
Affinity NodeAffinity*NodeAffinity PodAffinity*PodAffinity PodAntiAffinity*PodAffinity
NodeAffinity RequiredDuringSchedulingIgnoredDuringExecution*NodeSelector
 PreferredDuringSchedulingIgnoredDuringExecution[]PreferredSchedulingTerm
NodeSelector NodeSelectorTerms[]NodeSelectorTerm
NodeSelectorTerm MatchExpressions[]NodeSelectorRequirement MatchFields[]NodeSelectorRequirement
NodeSelectorRequirement Key Operator Values?
PreferredSchedulingTerm Weight# Preference=NodeSelectorTerm
PodAffinity RequiredDuringSchedulingIgnoredDuringExecution[]PodAffinityTerm
 PreferredDuringSchedulingIgnoredDuringExecution[]WeightedPodAffinityTerm
PodAffinityTerm LabelSelector? Namespaces? TopologyKey NamespaceSelector? MatchLabelKeys? MismatchLabelKeys?
WeightedPodAffinityTerm Weight# PodAffinityTerm=PodAffinityTerm
Toleration Key Operator Value Effect TolerationSeconds?
HostAlias IP Hostnames?
PodDNSConfig Nameservers? Searches? Options[]PodDNSConfigOption
PodDNSConfigOption Name Value?
PodReadinessGate ConditionType
TopologySpreadConstraint MaxSkew# TopologyKey WhenUnsatisfiable LabelSelector? MinDomains? NodeAffinityPolicy?
 NodeTaintsPolicy? MatchLabelKeys?
PodOS Name
PodSchedulingGate Name
PodResourceClaim Name ResourceClaimName? ResourceClaimTemplateName?
"""
_FIELD = re.compile(r"(\+?)(\w+)(\?|#|!|\*|\[\]|=)?(\w*)")
_IN_SECURITY_CONTEXT = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_CONTEXT_LINES = 3


@cache
def _structs() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """{struct: ((field, mark, struct of the field), ...)}"""
    structs: dict[str, tuple[tuple[str, str, str], ...]] = {}
    for line in _STRUCTS.strip().replace("\n ", " ").splitlines():
        name, *fields = line.split()
        found: list[tuple[str, str, str]] = []
        for field in fields:
            match = _FIELD.fullmatch(field)
            assert match is not None, field
            embedded, own, mark, struct = match.groups()
            found.append(("", "+", own) if embedded else (own, mark or "", struct))
        structs[name] = tuple(found)
    return structs


def _go(value: Mapping[str, Any], struct: str) -> dict[str, Any]:
    """An object as Go would print its internal struct. Field names are those of JSON but for their letter case."""
    lowered = {key.lower(): child for key, child in value.items()}
    out: dict[str, Any] = {}
    for name, mark, inner in _structs()[struct]:
        given = lowered.get(name.lower())
        match mark:
            case "+":
                out |= _go(value, inner)
            case "*":
                out[name] = None if given is None else _go(given, inner)
            case "[]":
                out[name] = [_go(item, inner) for item in given] if given else None
            case "=":
                out[name] = _go(given or {}, inner)
            case "?":
                out[name] = given
            case "#":
                out[name] = given or 0
            case "!":
                out[name] = bool(given)
            case _:
                out[name] = given or ""
    return out


def _lines(spec: Mapping[str, Any]) -> list[str]:
    internal = dict(spec)
    moved = {name: spec[name] for name in _IN_SECURITY_CONTEXT if name in spec}
    if moved or "securityContext" in spec:
        internal["securityContext"] = {**spec.get("securityContext", {}), **moved}
    text = json.dumps(_go(internal, "PodSpec"), indent=1, ensure_ascii=False)
    return [f"{line}\n" for line in text.split("\n")]


def pod_spec_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """A unified diff without its two header lines."""
    return "".join(list(difflib.unified_diff(_lines(old), _lines(new), n=_CONTEXT_LINES))[2:])
