"""What holds for all that is rendered, whatever is chosen."""

from typing import Any

import msgspec
import pytest

from aliquot.installation import rendering
from aliquot.installation.kinds import KINDS, mutating, resource_of
from aliquot.installation.labels import BY_INSTALL, MANAGED_BY, PART_OF
from aliquot.installation.rendering import Offers
from aliquot.installation.values import BadValues, Part, Values, merged, without
from aliquot.kube.api.core import Pod
from aliquot.kube.roles import LEASES_IN, NAMESPACE
from aliquot.kube.selectors import from_object
from aliquot.operator.upgrading.gpu_pods import SKIP_DRAIN, is_drained

Json = dict[str, Any]

CHOICES = [
    pytest.param(Values(), Offers(), id="as shipped"),
    pytest.param(Values(), Offers("", True), id="webhook and monitors"),
    pytest.param(Values(), Offers("", cert_manager=True), id="webhook with cert-manager"),
    pytest.param(without(Values(), list(Part)[1:]), Offers(), id="the operator alone"),
]


def workloads(objects: tuple[Json, ...]) -> list[Json]:
    return [one for one in objects if one["kind"] in ("Deployment", "DaemonSet")]


@pytest.mark.parametrize(("values", "offers"), CHOICES)
def test_everything_is_known_again(values: Values, offers: Offers) -> None:
    kinds = {one.kind for one in (*KINDS, *mutating("v1"))}
    objects = rendering.objects(values, offers)
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))
    for one in objects:
        labels = one["metadata"]["labels"]
        assert (labels[PART_OF], labels[MANAGED_BY]) == ("aliquot", BY_INSTALL)
        assert one["kind"] in kinds, "an uninstall would not look for it"
        assert resource_of(one).namespaced is ("namespace" in one["metadata"])
        assert one["metadata"].get("namespace", NAMESPACE) in (NAMESPACE, LEASES_IN)
    assert names[0] == ("Namespace", None, NAMESPACE)


@pytest.mark.parametrize(("values", "offers"), CHOICES)
def test_pods_may_do_nothing_that_they_need_not(values: Values, offers: Offers) -> None:
    found = workloads(rendering.objects(values, offers))
    assert found
    for one in found:
        pod = one["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize(("values", "offers"), CHOICES)
def test_replicas_stand_by_and_are_asked_how_they_are(values: Values, offers: Offers) -> None:
    objects = rendering.objects(values, offers)
    budgets = {one["metadata"]["name"] for one in objects if one["kind"] == "PodDisruptionBudget"}
    for one in workloads(objects):
        if one["kind"] == "DaemonSet":
            continue
        assert one["spec"]["replicas"] == 2
        assert one["metadata"]["name"] in budgets
        pod = one["spec"]["template"]["spec"]
        keys = [spread["topologyKey"] for spread in pod["topologySpreadConstraints"]]
        assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        (container,) = pod["containers"]
        ports = {port["name"] for port in container["ports"]}
        for probe in ("livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports


@pytest.mark.parametrize(("values", "offers"), CHOICES)
def test_every_account_is_there_and_no_right_is_without_one(values: Values, offers: Offers) -> None:
    objects = rendering.objects(values, offers)
    accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    used = {one["spec"]["template"]["spec"]["serviceAccountName"] for one in workloads(objects)}
    assert used <= accounts
    roles = {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in objects
        if one["kind"] in ("Role", "ClusterRole")
    }
    bound = set()
    for one in objects:
        if one["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            assert {subject["name"] for subject in one["subjects"]} <= accounts
            place = one["metadata"].get("namespace")
            bound.add((one["roleRef"]["kind"], place, one["roleRef"]["name"]))
    assert bound == roles


@pytest.mark.parametrize(("values", "offers"), CHOICES)
def test_the_network_is_closed_but_for_what_is_used(values: Values, offers: Offers) -> None:
    found = {
        one["metadata"]["name"]: one["spec"]
        for one in rendering.objects(values, offers)
        if one["kind"] == "NetworkPolicy"
    }
    assert found["aliquot-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert ("aliquot-admission" in found) is (not offers.mutating and values.admission.enabled)
    metrics = {port["port"] for port in found["aliquot-metrics"]["ingress"][0]["ports"]}
    for one in workloads(rendering.objects(values, offers)):
        for container in one["spec"]["template"]["spec"]["containers"]:
            named = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
            assert named.get("metrics", 8080) in metrics


def test_the_default_scheduler_places_ours() -> None:
    """Nobody else could place the first."""
    for one in workloads(rendering.objects(Values(), Offers())):
        assert one["spec"]["template"]["spec"]["schedulerName"] == "default-scheduler"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image": "aliquot"}, "image: 'aliquot' is no image with a tag or a digest"),
        ({"operator": {"enabled": False}}, "operator.enabled: the operator is what is installed"),
        ({"scheduler": {"replicas": 99}}, "scheduler.replicas"),
    ],
)
def test_bad_values(given: Json, said: str) -> None:
    with pytest.raises(BadValues, match=said):
        merged(given)


def test_what_values_leave_out_is_as_shipped() -> None:
    values = merged({"scheduler": {"resources": {"limits": {"memory": "4Gi"}}}})
    assert values.scheduler.resources.limits == {"memory": "4Gi"}
    assert values.scheduler.resources.requests == Values().scheduler.resources.requests
    assert values.operator == Values().operator


def test_an_operator_comes_back_where_it_has_cordoned_every_node() -> None:
    cordoned = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
    for one in workloads(rendering.objects(Values(), Offers())):
        is_operator = one["metadata"]["name"] == "aliquot-operator"
        template = one["spec"]["template"]
        assert is_operator is (cordoned in template["spec"].get("tolerations", ()))
        # Nor does the upgrade of its own node drain it.
        assert is_operator is (template["metadata"]["labels"].get(SKIP_DRAIN) == "true")
        if one["kind"] == "Deployment":
            assert is_operator is not is_drained(msgspec.convert({"spec": {}, **template}, Pod))


def test_replicas_of_a_new_version_are_apart_from_each_other_and_not_from_the_last() -> None:
    for one in workloads(rendering.objects(Values(), Offers(""))):
        for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert spread["matchLabelKeys"] == ["pod-template-hash"]
            assert (
                spread["labelSelector"]["matchLabels"].items()
                <= one["spec"]["template"]["metadata"]["labels"].items()
            )


@pytest.mark.parametrize(
    ("labels", "is_preferred"),
    [
        ({}, True),
        ({"nvidia.com/gpu.present": "false"}, True),
        ({"nvidia.com/gpu.present": "true"}, False),
        ({"aliquot.dev/pci-10de.present": "true"}, False),
        ({"feature.node.kubernetes.io/pci-0302_10de.present": "true"}, False),
    ],
)
def test_what_leads_keeps_off_nodes_with_gpus_where_it_can(
    labels: dict[str, str], is_preferred: bool
) -> None:
    found = [one for one in workloads(rendering.objects(Values(), Offers(""))) if one["kind"] == "Deployment"]
    assert len(found) == 4
    for one in found:
        affinity = one["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
        assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"]
        (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        assert from_object(preferred["preference"]).matches(labels) is is_preferred
