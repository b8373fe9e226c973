"""What each check says. In their order; the first that fails ends the run, for those behind it would only fail as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aliquot.kube.api.node_checks import PASSED


class Check(StrEnum):
    DRIVER = "driver"
    TOOLKIT = "toolkit"
    PLUGIN = "plugin"
    WORKLOAD = "workload"


class Verdict(StrEnum):
    PASSED = "passed"
    SKIPPED = "skipped"
    """Counts as passed: nothing speaks against it."""
    FAILED = "failed"


REASONS: Mapping[Check, str] = {
    Check.DRIVER: "DriverNotAnswering",
    Check.TOOLKIT: "ToolkitNotWorking",
    Check.PLUGIN: "NothingAdvertised",
    Check.WORKLOAD: "WorkloadFailed",
}
"""Of a check that failed, as the condition has it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    verdict: Verdict
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the driver; `problem` empty: it answers."""

    version: str = ""
    gpus: int = 0
    lost: int = 0
    """That it knows of, and that do not answer."""
    problem: str = ""


def failed(check: Check, message: str) -> Outcome:
    return Outcome(check, Verdict.FAILED, message)


def passed(check: Check, message: str) -> Outcome:
    return Outcome(check, Verdict.PASSED, message)


def skipped(check: Check, message: str) -> Outcome:
    return Outcome(check, Verdict.SKIPPED, message)


def driver_and_toolkit(answer: Answer, not_injected: str) -> tuple[Outcome, ...]:
    """`not_injected`: what this container misses that the toolkit gives; empty: nothing. The driver can only be asked
    through what the toolkit gives, so where both fail it is the toolkit that is told."""
    if answer.problem and not_injected:
        return (
            failed(
                Check.TOOLKIT,
                f"{not_injected}: see the toolkit's pod on this node, and whether its containerd has the runtime nvidia",
            ),
        )
    if answer.problem:
        return (
            failed(Check.DRIVER, f"{answer.problem}: see the driver's pod on this node, and its kernel log"),
        )
    if not answer.gpus:
        lost = f", {answer.lost} have fallen off the bus" if answer.lost else ""
        return (
            failed(Check.DRIVER, f"driver {answer.version} finds no GPU{lost}: see the node's kernel log"),
        )
    lost = f", and misses {answer.lost}" if answer.lost else ""
    found = passed(Check.DRIVER, f"driver {answer.version} has {_counted(answer.gpus, 'GPU')}{lost}")
    if not_injected:
        return found, failed(Check.TOOLKIT, f"{not_injected}: see the toolkit's pod on this node")
    return found, passed(Check.TOOLKIT, "containers get devices")


def plugin(advertised: Mapping[str, int]) -> Outcome:
    """`advertised`: of GPUs, by resource."""
    if not any(advertised.values()):
        return failed(
            Check.PLUGIN,
            "the node advertises no device (nvidia.com/gpu, nvidia.com/mig-*, class.aliquot.dev/*): see the agent's pod "
            "on this node, and the conditions of its GPUNode",
        )
    listed = ", ".join(f"{count} {name}" for name, count in sorted(advertised.items()) if count)
    return passed(Check.PLUGIN, f"advertised: {listed}")


@dataclass(frozen=True, slots=True)
class Report:
    outcomes: Sequence[Outcome]

    @property
    def failure(self) -> Outcome | None:
        return next((one for one in self.outcomes if one.verdict is Verdict.FAILED), None)

    @property
    def reason(self) -> str:
        return PASSED if self.failure is None else REASONS[self.failure.check]

    @property
    def message(self) -> str:
        if self.failure is not None:
            return self.failure.message
        return "; ".join(
            f"{one.check} skipped: {one.message}" if one.verdict is Verdict.SKIPPED else one.message
            for one in self.outcomes
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
