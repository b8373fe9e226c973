"""What keeps everybody else's hands from grants, as policies that the API server follows by itself.

RBAC cannot say "only objects of this name" of what is created, nor "only with this subject". These can, and the agent has no
rights over them: so they are what the agent's rights rest on. They refuse when they cannot be evaluated.

What they cannot do. Admission has no clock: it holds an end within a span of the object's creation, and ends nothing; that an object
is past due when the sentinel deletes it no policy can say. It never sees a read. And no policy is asked about changes of
policies: whoever may write those stands above all of this.
"""

from collections.abc import Sequence
from typing import Any

from aliquot.access.cluster.policies import guarded, hands, home

Policy = dict[str, Any]

LONGEST_S = 7 * 24 * 3600
"""From an object's creation to the latest end that it may ever have, unless an installation says less."""
CONTROLLERS = ("system:kube-controller-manager", "system:serviceaccount:kube-system:job-controller")
"""Who may say of a Job how it is: the controller manager, with one credential or with one for each controller."""


def objects(
    template_roles: Sequence[str], *, longest_s: int = LONGEST_S, controllers: Sequence[str] = CONTROLLERS
) -> tuple[Policy, ...]:
    """Policies and their bindings. `template_roles` are the ClusterRoles that a grant may be bound to."""
    found = (
        guarded.marks(longest_s),
        guarded.bindings(template_roles),
        guarded.own_roles(),
        guarded.timers(),
        guarded.timer_status(controllers),
        guarded.deletions(),
        home.contents(),
        home.tokens(),
        hands.of_grants(),
        hands.of_agent_and_sentinel(),
    )
    return tuple(one for policy in found for one in (policy, _binding(policy)))


def _binding(policy: Policy) -> Policy:
    name = policy["metadata"]["name"]
    return {
        "apiVersion": policy["apiVersion"],
        "kind": f"{policy['kind']}Binding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
