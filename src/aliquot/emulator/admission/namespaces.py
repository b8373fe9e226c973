"""Objects live in namespaces that exist; nothing begins in one that ends; some namespaces never end."""

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json, is_terminating, metadata
from aliquot.emulator.registry import NAMESPACES
from aliquot.emulator.statuses import failure, forbidden

IMMORTAL = frozenset(["default", "kube-system", "kube-public"])

_QUESTIONS = "localsubjectaccessreviews"
"""Who asks what is allowed somewhere is not to learn whether that is there."""


def namespace_lives(asked: Admitted, obj: Json | None) -> None:
    """A gate. Raises StatusError 404 and 403."""
    resource = asked.served.resource
    if asked.operation is Operation.DELETE:
        name = metadata(asked.old or {}).get("name", "")
        if asked.served.storage == NAMESPACES and name in IMMORTAL:
            raise forbidden(resource, name, "this namespace may not be deleted")
        return
    if asked.operation is not Operation.CREATE or not resource.namespaced or resource.plural == _QUESTIONS:
        return
    namespace = asked.look.get(NAMESPACES, "", asked.namespace)
    if namespace is None:
        message = f'namespaces "{asked.namespace}" not found'
        raise failure(404, "NotFound", message, {"name": asked.namespace, "kind": NAMESPACES})
    if is_terminating(namespace):
        ends = f"namespace {asked.namespace} is being terminated"
        raise forbidden(
            resource,
            metadata(obj or {}).get("name", ""),
            f"unable to create new content in namespace {asked.namespace} because it is being terminated",
            [{"reason": "NamespaceTerminating", "message": ends, "field": "metadata.namespace"}],
        )
