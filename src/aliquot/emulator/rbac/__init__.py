"""Who may do what: role-based access control as Kubernetes decides it, with its words for refusals.

Pure decisions over RBAC objects that a `Policy` looks up; authentication is elsewhere.
"""

from aliquot.emulator.rbac.authorizer import Authorizer, Decision, Earlier, Policy, RoleMissing, aggregate
from aliquot.emulator.rbac.bootstrap import bootstrap_objects, bootstrap_rules
from aliquot.emulator.rbac.refusals import Refusal, escalation, forbidden
from aliquot.emulator.rbac.reviews import (
    access_review,
    identity_review,
    rules_review,
    user_info,
)
from aliquot.emulator.rbac.rules import Attributes, Rule, User

__all__ = [
    "Attributes",
    "Authorizer",
    "Decision",
    "Earlier",
    "Policy",
    "Refusal",
    "RoleMissing",
    "Rule",
    "User",
    "access_review",
    "aggregate",
    "bootstrap_objects",
    "bootstrap_rules",
    "escalation",
    "forbidden",
    "identity_review",
    "rules_review",
    "user_info",
]
