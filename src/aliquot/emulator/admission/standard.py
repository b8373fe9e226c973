"""The chain of a server: what is built in, and what is configured through its API."""

from aliquot.emulator.admission.built_in import built_in
from aliquot.emulator.admission.certificate_requests import SignerRights
from aliquot.emulator.admission.chain import Chain
from aliquot.emulator.admission.conditions import MatchConditions
from aliquot.emulator.admission.policies.mutating import MutatingPolicies
from aliquot.emulator.admission.policies.validating import ValidatingPolicies
from aliquot.emulator.admission.webhooks.calling import Caller
from aliquot.emulator.admission.webhooks.mutating import MutatingWebhooks
from aliquot.emulator.admission.webhooks.validating import ValidatingWebhooks
from aliquot.emulator.network import Network
from aliquot.emulator.node_access import NodeRestriction
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.registry import Registry


def standard(registry: Registry, authorizer: Authorizer, network: Network, *, minor: int) -> Chain:
    """For Kubernetes 1.`minor`; webhooks are called over `network`."""
    caller = Caller(network, MatchConditions(authorizer, minor))
    return built_in(
        gates=(NodeRestriction(authorizer), SignerRights(authorizer)),
        mutators=(MutatingPolicies(registry, authorizer), MutatingWebhooks(caller, registry)),
        validators=(ValidatingPolicies(registry, authorizer), ValidatingWebhooks(caller, registry)),
    )
