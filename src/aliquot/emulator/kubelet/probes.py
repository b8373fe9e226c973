"""What a container's probes say of it, out of their results, with kubelet's timing and thresholds. Pure.

A probe says nothing before its initial delay is over, and, but for the startup probe, before the container has
started up. A result counts when it has come as often in a row as its threshold asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from aliquot.emulator.kubelet.pod_details import ContainerDetails, Probe


class ProbeKind(StrEnum):
    """As events name them."""

    STARTUP = "Startup"
    LIVENESS = "Liveness"
    READINESS = "Readiness"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe says of one run of a container."""

    passes: bool | None
    """None: nothing yet (startup alone)."""
    last: bool | None = None
    times: int = 0
    """How often in a row the last result has come."""
    on_hold: bool = False
    """Nothing more is asked of this run: it has started up, or is to be ended."""


_AT_FIRST = {ProbeKind.STARTUP: None, ProbeKind.LIVENESS: True, ProbeKind.READINESS: False}


def first_verdict(kind: ProbeKind, *, known: bool | None = None) -> Verdict:
    """`known` is what was said of this run before kubelet was started anew: no pod becomes unready by that alone."""
    passes = _AT_FIRST[kind] if known is None or kind is ProbeKind.LIVENESS else known
    return Verdict(passes, on_hold=kind is ProbeKind.STARTUP and passes is True)


def asks(kind: ProbeKind, probe: Probe, verdict: Verdict, *, running_s: float, started: bool) -> bool:
    """Whether the probe is to be run now, `running_s` after the container began. `started`: its startup is over."""
    if verdict.on_hold or int(running_s) < probe.initial_delay_seconds:
        return False
    return started != (kind is ProbeKind.STARTUP)


def after(kind: ProbeKind, probe: Probe, verdict: Verdict, success: bool) -> Verdict:
    """The verdict after one more result."""
    times = verdict.times + 1 if verdict.last == success else 1
    seen = replace(verdict, last=success, times=times)
    if times < (probe.success_threshold if success else probe.failure_threshold):
        return seen
    if kind is ProbeKind.STARTUP or (kind is ProbeKind.LIVENESS and not success):
        return replace(seen, passes=success, on_hold=True, times=0)
    return replace(seen, passes=success)


def probes(container: ContainerDetails) -> dict[ProbeKind, Probe]:
    found = {
        ProbeKind.STARTUP: container.startup_probe,
        ProbeKind.LIVENESS: container.liveness_probe,
        ProbeKind.READINESS: container.readiness_probe,
    }
    return {kind: probe for kind, probe in found.items() if probe is not None}


@dataclass(frozen=True, slots=True)
class Health:
    """What all the probes of one run of a container say together; without probes it is well from its start."""

    started: bool = True
    ready: bool = True
    failed: ProbeKind | None = None
    """The probe that wants it ended."""
    grace_s: float | None = None
    """That it is given then, if not the pod's."""


WELL = Health()
_ENDING = (ProbeKind.LIVENESS, ProbeKind.STARTUP)


def health(verdicts: Mapping[ProbeKind, tuple[Probe, Verdict]]) -> Health:
    passes = {kind: verdict.passes for kind, (_, verdict) in verdicts.items()}
    started = passes.get(ProbeKind.STARTUP, True) is True
    failed = next((kind for kind in _ENDING if passes.get(kind) is False), None)
    grace_s = verdicts[failed][0].termination_grace_period_seconds if failed is not None else None
    return Health(
        started=started,
        ready=started and passes.get(ProbeKind.READINESS, True) is True,
        failed=failed,
        grace_s=None if grace_s is None else float(grace_s),
    )
