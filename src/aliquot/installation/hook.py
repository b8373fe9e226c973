"""What Helm starts before it takes a release away: a Job that gives the nodes back."""

from collections.abc import Iterator

from aliquot.installation import workloads
from aliquot.installation.labels import COMPONENT, NAME, OURS, PART_OF, Json, labelled
from aliquot.installation.values import Values
from aliquot.kube import roles

ACCOUNT = "aliquot-uninstall"
COMPONENT_NAME = "uninstall"
_DEADLINE_S = 300


def objects(values: Values) -> Iterator[Json]:
    """In their order: the Job last."""
    metadata = {"name": ACCOUNT, "namespace": roles.NAMESPACE}
    yield labelled({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    for role in RIGHTS:
        yield labelled(role)
        yield labelled(roles.bound(role))
    labels = {NAME: ACCOUNT, PART_OF: OURS, COMPONENT: COMPONENT_NAME}
    yield labelled(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata,
            "spec": {
                "backoffLimit": 2,
                "activeDeadlineSeconds": _DEADLINE_S,
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        **workloads.once(
                            "uninstall", ("uninstall", "--nodes-only", "--yes"), values, account=ACCOUNT
                        ),
                        "restartPolicy": "Never",
                    },
                },
            },
        }
    )


RIGHTS = (
    roles.role(
        ACCOUNT,
        roles.rule("get list patch", "", "nodes"),
        roles.rule("get list delete", "aliquot.dev", "gpunodes"),
        roles.rule("patch", "aliquot.dev", "gpunodes/status gpupolicies/status"),
        roles.rule("list", "aliquot.dev", "gpupolicies"),
        roles.rule(
            "get delete",
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations",
            names="aliquot-gpu-class",
        ),
        roles.rule("get delete", "node.k8s.io", "runtimeclasses", names="nvidia"),
    ),
    roles.local_role(
        ACCOUNT,
        roles.rule("list", "", "pods"),
        roles.rule("get list delete", "apps", "deployments daemonsets"),
        roles.rule("list delete", "", "services"),
        roles.rule("list delete", "monitoring.coreos.com", "servicemonitors"),
    ),
    roles.local_role(
        ACCOUNT,
        roles.rule(
            "delete",
            "coordination.k8s.io",
            "leases",
            names="aliquot-operator aliquot-scheduler aliquot-partitioner",
        ),
        namespace=roles.LEASES_IN,
    ),
)
