"""Things that go wrong on request, by the names that EKS has for them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    REFUSE = "refuse"
    """The call is answered with the error `code`."""
    LOSE = "lose"
    """The call is done, and its answer never arrives."""
    FAIL = "fail"
    """What it begins fails: an update with the ErrorCode `code`, what is made or deleted with that issue of health."""


@dataclass(kw_only=True)
class Fault:
    kind: Kind
    operation: str
    code: str = ""
    message: str = "injected"
    times: int = 1
    after: int = 0
    """So many calls of the operation go well before."""
    resource_ids: tuple[str, ...] = ()

    def issue(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "resourceIds": list(self.resource_ids)}


@dataclass(kw_only=True)
class Illness:
    """An issue of health that a cluster, or a part of it, has for a while, whatever it is asked."""

    of: str
    """`prod`, `prod/nodegroup/gpu`, `prod/addon/coredns`, `prod/fargate/web`."""
    code: str
    message: str = "injected"
    resource_ids: tuple[str, ...] = ()
    from_s: float = 0.0
    until_s: float | None = None


@dataclass
class Faults:
    waiting: list[Fault] = field(default_factory=list)
    ill: list[Illness] = field(default_factory=list)

    def take(self, kind: Kind, operation: str) -> Fault | None:
        """What happens to this call. Each is used up by its times."""
        for fault in self.waiting:
            if fault.kind is not kind or fault.operation != operation:
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self.waiting.remove(fault)
            return fault
        return None
