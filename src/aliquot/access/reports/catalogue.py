"""The reports that there are, by name."""

from collections.abc import Mapping

from aliquot.access.reports.kinds import (
    access_review,
    approvals,
    emergencies,
    kill_switch,
    log_integrity,
    revocation,
    use,
)
from aliquot.access.reports.report import Report

REPORTS: Mapping[str, Report] = {
    one.name: one
    for one in (
        access_review.REPORT,
        approvals.REPORT,
        emergencies.REPORT,
        revocation.REPORT,
        use.REPORT,
        kill_switch.REPORT,
        log_integrity.REPORT,
    )
}
