"""The Pod Security Standards: what a pod may not ask for at a level, and which level a namespace holds pods to. Pure."""

from aliquot.emulator.pod_security.checks import Violation, violations
from aliquot.emulator.pod_security.policy import Level, Policy, Standard, policy_of

__all__ = ["Level", "Policy", "Standard", "Violation", "policy_of", "violations"]
