"""What a write needs to know of the world: may it be, and what is added to it.

Every write, delete and connection passes a `Chain` in two phases, as in a real kube-apiserver: *mutating*, before the
server fills in what is its own (uid, status), and *validating*, after the object has passed its schema. In the order of
the steps:

    gates          what nothing may begin without: the namespace lives
    mutations      built-in changes: ServiceAccount, priority, tolerations
    mutators       MutatingAdmissionPolicies, then mutating webhooks; a second round of both kinds where one changed
                   the object (reinvocation)
    allocations    cluster IPs and node ports
    checks         built-in judgements of the whole object
    validators     ValidatingAdmissionPolicies, then validating webhooks
    last           what counts other objects: quota

Each link is a callable over one `Admitted`, which says what is done, by whom, to what, and the object, which goes from
link to link. Built-in links are plain functions. `Mutator.begin` and `Validator.check` answer None where nothing is
configured that concerns the operation; then nothing is awaited, and the whole write happens in one turn of the loop.
Where something was awaited, the writer looks again at what is stored, and begins anew if it changed (writing).

    chain.mutate(asked, obj) -> obj             before prepare; CREATE and UPDATE
    chain.allocate(asked, obj) -> obj           after prepare, before the schema's validation
    chain.validate(asked, obj)                  after it; the write must follow without an await
    chain.admit(asked, body) -> body            both phases, for Binding, Eviction, TokenRequest, CONNECT options
    chain.admit_delete(asked)                   both phases; the object is None, `asked.old` is what goes

Refusals are StatusErrors. Warnings for the client go into `asked.call.warnings`, annotations of the audit log into
`asked.call.annotations`. `standard` puts the chain of a server together.
"""

from aliquot.emulator.admission.built_in import built_in
from aliquot.emulator.admission.chain import Chain
from aliquot.emulator.admission.types import (
    Admitted,
    Check,
    Look,
    Mutation,
    Mutator,
    Operation,
    Turn,
    Validator,
)

__all__ = [
    "Admitted",
    "Chain",
    "Check",
    "Look",
    "Mutation",
    "Mutator",
    "Operation",
    "Turn",
    "Validator",
    "built_in",
]
