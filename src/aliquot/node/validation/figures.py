"""What the validator tells Prometheus."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aliquot.metrics.exposition import Family, Kind, Sample, labels
from aliquot.node.validation.checks import Check, Report, Verdict


@dataclass(slots=True)
class Figures:
    node_name: str
    last: dict[Check, Verdict] = field(default_factory=dict)
    passed_s: dict[Check, float] = field(default_factory=dict)
    """When each was last well."""
    devices: Mapping[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)

    def take(self, report: Report, now_s: float) -> None:
        if report.failure is not None:
            # Those behind it were not asked.
            self.last = {}
        for one in report.outcomes:
            self.last[one.check] = one.verdict
            if one.verdict is Verdict.PASSED:
                self.passed_s[one.check] = now_s
        outcome = Verdict.PASSED if report.failure is None else Verdict.FAILED
        self.runs[outcome] = self.runs.get(outcome, 0) + 1

    def families(self) -> Iterator[Family]:
        node = ("hostname", self.node_name)
        yield Family(
            "aliquot_validation_passed",
            Kind.GAUGE,
            "Whether the check passed or was skipped when it was last done.",
            [
                Sample(labels(node, ("check", check)), verdict is not Verdict.FAILED)
                for check, verdict in self.last.items()
            ],
        )
        yield Family(
            "aliquot_validation_last_passed_timestamp_seconds",
            Kind.GAUGE,
            "When the check last passed.",
            [Sample(labels(node, ("check", check)), at) for check, at in self.passed_s.items()],
        )
        yield Family(
            "aliquot_validation_devices",
            Kind.GAUGE,
            "Devices that the node advertises.",
            [Sample(labels(node, ("resource", name)), count) for name, count in self.devices.items()],
        )
        yield Family(
            "aliquot_validation_runs_total",
            Kind.COUNTER,
            "Runs of the checks, by outcome, since the validator started.",
            [Sample(labels(node, ("outcome", outcome)), count) for outcome, count in self.runs.items()],
        )
