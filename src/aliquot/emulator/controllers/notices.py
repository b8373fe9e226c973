"""What a plan wants to be told."""

from dataclasses import dataclass

from aliquot.emulator.controllers.ownership import HasMetadata
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import Resource


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to tell."""

    warning: bool
    reason: str
    message: str


def tell(recorder: Recorder, resource: Resource, obj: HasMetadata, notice: Notice) -> None:
    severity = Severity.WARNING if notice.warning else Severity.NORMAL
    recorder.event(resource, obj, severity, notice.reason, notice.message)
