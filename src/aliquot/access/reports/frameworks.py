"""What of the frameworks that auditors work by a report speaks to. It is our reading of them, and not evidence of compliance: whether a
control is met is more than what a report of one system can say.
"""

from msgspec import Struct

WARNING = "Our reading of the frameworks, for orientation: have your auditor confirm."


class Clause(Struct, frozen=True):
    framework: str
    clause: str
    asks: str
    """In our words."""
    reports: tuple[str, ...]
    """Those that speak to it."""


_SOC2, _PCI, _ISO = "SOC 2 (TSC 2017)", "PCI DSS 4.0.1", "ISO/IEC 27001:2022"

CLAUSES = (
    Clause(_SOC2, "CC6.1", "Logical access is restricted", ("access-review", "approvals", "use")),
    Clause(
        _SOC2, "CC6.2", "Access is authorized before it is given, and removed", ("approvals", "revocation")
    ),
    Clause(
        _SOC2,
        "CC6.3",
        "Least privilege, separation of duties, changes and reviews of access",
        ("access-review", "approvals", "use"),
    ),
    Clause(_SOC2, "CC7.2", "Anomalies are monitored", ("use", "emergencies", "log-integrity")),
    Clause(_SOC2, "CC7.3", "Events are evaluated", ("emergencies",)),
    Clause(_SOC2, "CC7.4", "Incidents are responded to", ("emergencies", "kill-switch")),
    Clause(_PCI, "7.2.1, 7.2.2", "Access by need and least privilege", ("access-review", "use")),
    Clause(_PCI, "7.2.3", "Privileges are approved by authorized personnel", ("approvals",)),
    Clause(_PCI, "7.2.4", "Access is reviewed", ("access-review",)),
    Clause(_PCI, "8.2.1, 8.2.2", "One identity for one person", ("access-review", "approvals")),
    Clause(_PCI, "8.2.5", "Access that is over is revoked at once", ("revocation", "kill-switch")),
    Clause(_PCI, "8.4", "More than one factor", ("approvals",)),
    Clause(
        _PCI, "10.2.1.2", "Actions of those with administrative access are logged", ("use", "emergencies")
    ),
    Clause(
        _PCI, "10.2.1.5", "Elevation of privileges is logged", ("approvals", "access-review", "emergencies")
    ),
    Clause(_PCI, "10.3", "Logs are protected from change", ("log-integrity",)),
    Clause(
        _ISO,
        "A.8.2",
        "Privileged access is restricted, authorized and reviewed",
        ("access-review", "approvals", "emergencies", "revocation", "kill-switch"),
    ),
    Clause(_ISO, "A.8.15", "Logs are kept, protected and looked at", ("log-integrity", "use")),
)


def clauses_of(report: str) -> tuple[Clause, ...]:
    return tuple(one for one in CLAUSES if report in one.reports)
