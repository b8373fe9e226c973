"""The chart's templates: which objects are in which file, when they are there, and where values go into them."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from aliquot import __version__
from aliquot.admission import cert_manager
from aliquot.admission import installation as admission
from aliquot.installation import hook, network, rendering
from aliquot.installation.chart.holes import block, inline, text
from aliquot.installation.labels import MANAGED_BY, Json, labelled
from aliquot.installation.rendering import Offers
from aliquot.installation.values import Part, Values
from aliquot.kube import roles

NAME = "aliquot"
_SERVED = "admissionregistration.k8s.io/{}/MutatingAdmissionPolicy"
_MONITORS = "monitoring.coreos.com/v1/PodMonitor"
_IMAGE = "Values.image"


def templates() -> Iterator[tuple[str, str]]:
    """(file name, text)"""
    values, offers = Values(), Offers()
    own = f'ne .Release.Namespace "{roles.NAMESPACE}"'
    yield "namespace.yaml", _when(own, _text([_kept(labelled(roles.NAMESPACE_OBJECT))]))
    for part in Part:
        if part is Part.ADMISSION:
            yield "admission.yaml", _when(".Values.admission.enabled", _admission(values))
            continue
        found = _text(_opened(part, one) for one in rendering.of_part(part, values, offers))
        yield (
            f"{part.value}.yaml",
            found if part is Part.OPERATOR else _when(f".Values.{part.value}.enabled", found),
        )
    without_network = _without(values, network_policies=False)
    yield "operands.yaml", _text(rendering.shared(without_network, offers))
    yield "network.yaml", _when(".Values.network.policies", _network(values))
    monitors = f'and .Values.monitors (.Capabilities.APIVersions.Has "{_MONITORS}")'
    yield "monitor.yaml", _when(monitors, _text([labelled(rendering.pod_monitor())]))
    yield "policy.yaml", _when(".Values.policy.create", _policy(values))
    yield "leave.yaml", _text(_leave(values))
    yield "NOTES.txt", _NOTES


def _when(condition: str, body: str) -> str:
    return f"{{{{- if {condition} }}}}\n{body}{{{{- end }}}}\n"


def _text(objects: Iterable[Json]) -> str:
    return text(_released(one) for one in objects)


def _released(obj: Json) -> Json:
    """With Helm's labels for ours."""
    metadata = obj["metadata"]
    labels = {
        **metadata.get("labels", {}),
        MANAGED_BY: inline(".Release.Service"),
        "app.kubernetes.io/instance": inline(".Release.Name"),
        "helm.sh/chart": f"{NAME}-{__version__}",
    }
    return {**obj, "metadata": {**metadata, "labels": labels}}


def _kept(obj: Json) -> Json:
    """It stays when the release goes: there may be objects of others in it."""
    metadata = obj["metadata"]
    annotations = {**metadata.get("annotations", {}), "helm.sh/resource-policy": "keep"}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def _opened(part: Part, obj: Json) -> Json:
    """With holes where the values of its part go."""
    if obj["kind"] not in ("Deployment", "DaemonSet"):
        return obj
    found = copy.deepcopy(obj)
    where = f".Values.{part.value}"
    if "replicas" in found["spec"]:
        found["spec"]["replicas"] = inline(f"{where}.replicas")
    pod = found["spec"]["template"]["spec"]
    _open_pod(pod)
    pod["nodeSelector"] = block(f"{where}.nodeSelector")
    pod["tolerations"] = block(f"{where}.tolerations")
    (container,) = pod["containers"]
    container["args"].append(block(f"{where}.args"))
    container["resources"] = block(f"{where}.resources")
    return found


def _open_pod(pod: Json) -> None:
    pod["imagePullSecrets"] = block('include "aliquot.pullSecrets" $ | fromYamlArray')
    for container in pod["containers"]:
        container["image"] = inline(f".{_IMAGE} | quote")
        container["imagePullPolicy"] = inline(".Values.imagePullPolicy")
        for one in container.get("env", ()):
            if one["name"] == "ALIQUOT_IMAGE":
                one["value"] = inline(f".{_IMAGE} | quote")


def _admission(values: Values) -> str:
    """One of the versions of policies, the best first; else the webhook."""
    found = ""
    for number, version in enumerate(admission.VERSIONS):
        word = "else if" if number else "if"
        objects = rendering.of_part(Part.ADMISSION, values, Offers(version))
        served = f'.Capabilities.APIVersions.Has "{_SERVED.format(version)}"'
        found += f"{{{{- {word} {served} }}}}\n{_text(objects)}"
    webhook = [
        _opened(Part.ADMISSION, one)
        for one in rendering.of_part(Part.ADMISSION, values, Offers("", cert_manager=True))
    ]
    certificates = [one for one in webhook if one["apiVersion"].startswith(cert_manager.GROUP)]
    made = _when(f'.Capabilities.APIVersions.Has "{cert_manager.GROUP}/v1/Certificate"', _text(certificates))
    rest = _text(one for one in webhook if one not in certificates)
    return f"{found}{{{{- else }}}}\n{rest}{made}{{{{- end }}}}\n"


def _network(values: Values) -> str:
    """The last is the webhook's, and is there with it alone."""
    found = [labelled(one) for one in network.policies(values, webhook=True)]
    for one in found:
        if one["metadata"]["name"] == "aliquot-to-api":
            one["spec"] = copy.deepcopy(one["spec"])
            one["spec"]["egress"][1]["ports"] = block('include "aliquot.apiPorts" $ | fromYamlArray')
    served = " ".join(
        f'(.Capabilities.APIVersions.Has "{_SERVED.format(one)}")' for one in admission.VERSIONS
    )
    webhook = f"and .Values.admission.enabled (not (or {served}))"
    return _text(found[:-1]) + _when(webhook, _text(found[-1:]))


def _policy(values: Values) -> str:
    made = rendering.policy(values.policy)
    made["metadata"] = {"name": inline(".Values.policy.name | quote")}
    made["spec"] = block(".Values.policy.spec")
    # Drivers of all nodes go with their policy.
    return text([_kept(made)])


def _leave(values: Values) -> Iterator[Json]:
    """What takes the nodes back before the release goes, and is there no longer than that."""
    for weight, one in enumerate(hook.objects(values)):
        found = copy.deepcopy(one)
        found["metadata"]["annotations"] = {
            "helm.sh/hook": "pre-delete",
            "helm.sh/hook-weight": str(weight),
            "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        }
        if found["kind"] == "Job":
            _open_pod(found["spec"]["template"]["spec"])
        yield found


def _without(values: Values, *, network_policies: bool) -> Values:
    import msgspec

    changed = msgspec.structs.replace(values.network, policies=network_policies)
    return msgspec.structs.replace(values, network=changed, monitors=False)


HELPERS: Any = """{{- define "aliquot.pullSecrets" -}}
{{- range .Values.imagePullSecrets }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- define "aliquot.apiPorts" -}}
{{- range .Values.network.apiPorts }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end }}
"""
_NOTES = """Aliquot {{ .Chart.AppVersion }} runs in the namespace aliquot-system.
{{ if eq .Release.Namespace "aliquot-system" }}
The namespace was there before the release: it has to let privileged pods in, for drivers are loaded from one.
  kubectl label namespace aliquot-system pod-security.kubernetes.io/enforce=privileged
{{ end }}
{{- if .Values.policy.create }}
The GPUPolicy {{ .Values.policy.name }} brings GPU nodes from bare to validated:
  kubectl get gpupolicies,gpunodes
{{- else }}
Nothing happens to nodes yet: that begins with a GPUPolicy. The simplest takes all nodes with GPUs:
  printf 'apiVersion: aliquot.dev/v1alpha1\\nkind: GPUPolicy\\nmetadata: {name: default}\\n' | kubectl apply -f -
  kubectl get gpunodes -w
{{- end }}

helm upgrade leaves the definitions of our kinds as they are. Before each upgrade, of the chart that is to come:
  helm show crds CHART | kubectl apply --server-side --force-conflicts -f -

helm uninstall gives the nodes back. It leaves the definitions of our kinds, with your GPUPolicies, and the namespace, where others may
have something. To have them gone as well:
  kubectl delete namespace aliquot-system; helm show crds CHART | kubectl delete -f -
"""
