"""What probes say of a container: thresholds, delays, and which probe waits for which."""

from typing import Any

import pytest

from aliquot.emulator.kubelet.pod_details import ContainerDetails, Probe
from aliquot.emulator.kubelet.probes import (
    WELL,
    Health,
    ProbeKind,
    Verdict,
    after,
    asks,
    first_verdict,
    health,
    probes,
)

STARTUP, LIVENESS, READINESS = ProbeKind.STARTUP, ProbeKind.LIVENESS, ProbeKind.READINESS


@pytest.mark.parametrize(
    ("kind", "options", "results", "passes", "on_hold"),
    [
        (READINESS, {}, "", False, False),
        (READINESS, {}, "+", True, False),
        (READINESS, {}, "+--", True, False),
        (READINESS, {}, "+---", False, False),
        (READINESS, {}, "+--+--", True, False),
        (READINESS, {"success_threshold": 2}, "+", False, False),
        (READINESS, {"success_threshold": 2}, "+-+", False, False),
        (READINESS, {"success_threshold": 2}, "++", True, False),
        (READINESS, {"failure_threshold": 1}, "+-", False, False),
        (LIVENESS, {}, "", True, False),
        (LIVENESS, {}, "--", True, False),
        (LIVENESS, {}, "--+--", True, False),
        (LIVENESS, {}, "---", False, True),
        (STARTUP, {}, "", None, False),
        (STARTUP, {}, "--", None, False),
        (STARTUP, {}, "--+", True, True),
        (STARTUP, {}, "---", False, True),
    ],
)
def test_results_in_a_row(
    kind: ProbeKind, options: dict[str, Any], results: str, passes: bool | None, on_hold: bool
) -> None:
    verdict = first_verdict(kind)
    for result in results:
        verdict = after(kind, Probe(**options), verdict, result == "+")
    assert (verdict.passes, verdict.on_hold) == (passes, on_hold)


@pytest.mark.parametrize(
    ("kind", "options", "running_s", "started", "asked"),
    [
        (READINESS, {}, 0.0, True, True),
        (READINESS, {}, 0.0, False, False),
        (LIVENESS, {}, 0.0, False, False),
        (STARTUP, {}, 0.0, False, True),
        (STARTUP, {}, 0.0, True, False),
        (LIVENESS, {"initial_delay_seconds": 5}, 4.9, True, False),
        (LIVENESS, {"initial_delay_seconds": 5}, 5.0, True, True),
        (STARTUP, {"initial_delay_seconds": 5}, 4.0, False, False),
    ],
)
def test_when_a_probe_is_run(
    kind: ProbeKind, options: dict[str, Any], running_s: float, started: bool, asked: bool
) -> None:
    probe = Probe(**options)
    assert asks(kind, probe, first_verdict(kind), running_s=running_s, started=started) == asked


def test_a_probe_on_hold_is_not_run() -> None:
    assert not asks(LIVENESS, Probe(), Verdict(False, on_hold=True), running_s=100.0, started=True)


@pytest.mark.parametrize(
    ("kind", "known", "passes"),
    [
        (READINESS, True, True),
        (READINESS, False, False),
        (READINESS, None, False),
        (STARTUP, True, True),
        (STARTUP, None, None),
        (LIVENESS, False, True),
    ],
)
def test_what_was_known_before_a_restart(kind: ProbeKind, known: bool | None, passes: bool | None) -> None:
    assert first_verdict(kind, known=known).passes == passes


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({}, WELL),
        ({READINESS: False}, Health(ready=False)),
        ({READINESS: True}, WELL),
        ({STARTUP: None}, Health(started=False, ready=False)),
        ({STARTUP: None, READINESS: True}, Health(started=False, ready=False)),
        ({STARTUP: True, READINESS: True}, WELL),
        ({STARTUP: False}, Health(started=False, ready=False, failed=STARTUP)),
        ({LIVENESS: False, READINESS: True}, Health(failed=LIVENESS)),
    ],
)
def test_all_probes_together(verdicts: dict[ProbeKind, bool | None], expected: Health) -> None:
    assert health({kind: (Probe(), Verdict(passes)) for kind, passes in verdicts.items()}) == expected


def test_a_probe_may_have_a_grace_period_of_its_own() -> None:
    probe = Probe(termination_grace_period_seconds=7)
    assert health({LIVENESS: (probe, Verdict(False))}).grace_s == 7.0


def test_the_probes_of_a_container() -> None:
    container = ContainerDetails(name="main", liveness_probe=Probe(period_seconds=3))
    assert probes(container) == {LIVENESS: Probe(period_seconds=3)}
