"""What somebody has to be told by Prometheus, as a PrometheusRule of its operator."""

from typing import Any, NamedTuple

from aliquot.access.serving.metrics import PREFIX
from aliquot.kube.roles import NAMESPACE


class Alert(NamedTuple):
    name: str
    expression: str
    """Over metrics without the prefix that all have, which is `$`."""
    lasts: str
    severity: str
    says: str


ALERTS = (
    Alert(
        "AccessServerGone",
        "absent($ready)",
        "5m",
        "critical",
        "no server of break glass is scraped: nobody is let in, and grants end only at their end",
    ),
    Alert(
        "AccessNotRevoked",
        'max($effects_oldest_age_seconds{kind="RemoveGrant"}) > 120',
        "1m",
        "critical",
        "a grant is over and has not been taken away: see 'kubectl get secrets -n aliquot-break-glass', and the cluster's own end of it",
    ),
    Alert(
        "AccessNotCarriedOut",
        'max($effects_oldest_age_seconds{kind!="RemoveGrant"}) > 900',
        "5m",
        "warning",
        "something decided is not carried out: the server's log says who does not answer",
    ),
    Alert(
        "AccessRevocationSlow",
        "histogram_quantile(0.99, max by (le) (rate($revocation_seconds_bucket[1h]))) > 15",
        "10m",
        "warning",
        "one in a hundred grants takes longer than 15 s to be taken away",
    ),
    Alert(
        "AccessFinding",
        "max by (source, sort, cluster) (increase($findings_total[15m])) > 0",
        "0m",
        "critical",
        "something in a cluster that no grant explains, or a witness that does not sign: the log has it as finding.seen",
    ),
    Alert(
        "AccessReviewOverdue",
        'max($reviews{state="overdue"}) > 0',
        "1h",
        "warning",
        "an emergency was not reviewed in time: whoever used it cannot use another",
    ),
    Alert(
        "AccessLogNotSigned",
        'max($log_unsigned_entries) > 1000 or max($ready{check="log"}) == 0',
        "2m",
        "critical",
        "the log is not signed any more: what is stored does not go on from what was signed, or nobody signs",
    ),
    Alert(
        "AccessWitnessSilent",
        "time() - max by (witness) ($witness_current_timestamp_seconds) > 900",
        "5m",
        "warning",
        "a witness of the log has not signed it for 15 min",
    ),
    Alert(
        "AccessAuditLogSilent",
        "time() - max by (cluster) ($audit_log_delivered_timestamp_seconds) > 900",
        "5m",
        "warning",
        "nothing has come from a cluster's audit log for 15 min: what holders of grants do there is not seen",
    ),
    Alert(
        "AccessNotReady",
        'max by (check) ($ready{check!="log"}) == 0',
        "5m",
        "critical",
        "no server has what it needs: /readyz says why",
    ),
    Alert("AccessKillSwitchPulled", "max($kill_switch) == 1", "0m", "warning", "the kill switch is pulled"),
    Alert(
        "AccessJournalWaiting",
        "max($journal_waiting) > 0",
        "10m",
        "warning",
        "a server ended something that the database still does not know of",
    ),
)


def prometheus_rule() -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "aliquot-access", "namespace": NAMESPACE},
        "spec": {"groups": [{"name": "aliquot-access", "rules": [_rule(one) for one in ALERTS]}]},
    }


def _rule(one: Alert) -> dict[str, Any]:
    return {
        "alert": one.name,
        "expr": one.expression.replace("$", PREFIX),
        "for": one.lasts,
        "labels": {"severity": one.severity},
        "annotations": {"summary": one.says},
    }
