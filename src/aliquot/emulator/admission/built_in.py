"""The links that every server has."""

from aliquot.emulator.admission.certificate_requests import requester
from aliquot.emulator.admission.chain import Chain
from aliquot.emulator.admission.ingress_classes import default_ingress_class
from aliquot.emulator.admission.limit_ranges import default_resources, within_limits
from aliquot.emulator.admission.namespaces import namespace_lives
from aliquot.emulator.admission.node_taints import taint_new_node
from aliquot.emulator.admission.pod_security import pod_security
from aliquot.emulator.admission.priorities import one_default_priority, priority
from aliquot.emulator.admission.quotas import within_quotas
from aliquot.emulator.admission.runtime_classes import overhead_is_of_its_class, runtime_class
from aliquot.emulator.admission.service_accounts import service_account
from aliquot.emulator.admission.service_addresses import ServiceAddresses
from aliquot.emulator.admission.tolerations import default_tolerations
from aliquot.emulator.admission.types import Check, Mutator, Validator
from aliquot.emulator.admission.volumes import default_storage_class, guard_in_use, only_grows_where_it_can


def built_in(
    *,
    gates: tuple[Check, ...] = (),
    mutators: tuple[Mutator, ...] = (),
    validators: tuple[Validator, ...] = (),
) -> Chain:
    """The chain of one server: its allocations remember what they have given out."""
    return Chain(
        gates=(namespace_lives, *gates),
        mutations=(
            default_resources,
            service_account,
            taint_new_node,
            priority,
            default_tolerations,
            runtime_class,
            guard_in_use,
            default_ingress_class,
            default_storage_class,
            requester,
        ),
        mutators=mutators,
        allocations=(ServiceAddresses(),),
        checks=(
            within_limits,
            pod_security,
            one_default_priority,
            overhead_is_of_its_class,
            only_grows_where_it_can,
        ),
        validators=validators,
        last=(within_quotas,),
    )
