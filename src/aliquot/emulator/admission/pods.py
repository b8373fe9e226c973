"""What the links for pods have in common."""

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.registry import PODS


def is_new_pod(asked: Admitted) -> bool:
    return asked.operation is Operation.CREATE and asked.served.storage == PODS and not asked.subresource
