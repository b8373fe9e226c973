"""A step of an upgrade: one act, in one state, of one hop."""

from hashlib import sha256

from msgspec import Struct

from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.states import Abort, State, abort_at
from aliquot.eks.upgrade.verdicts import Call
from aliquot.eks.versions.minor import Minor


class Step(Struct, frozen=True, kw_only=True):
    id: str
    """Unique within a plan, and the same whenever it is planned anew: `1.32/control-plane`."""
    state: State
    hop: Minor
    what: str
    act: Act
    call: Call | None = None
    """What it asks AWS for, for whoever reads a plan; None: that is not one call. What is done is the act's."""
    expected_s: float
    at_most_s: float = 0.0
    """Longer than that, and it has failed or a person has to look; 0: a person, or the plan itself, says how long."""
    disrupts: str = ""
    """Whom, in one sentence; empty: nobody."""
    back: str = ""
    """How it is put back by hand; empty: there is nothing to put back."""

    @property
    def abort(self) -> Abort:
        return abort_at(self.state)


def token(plan: str, step: str, attempt: int) -> str:
    """The clientRequestToken of a step's call: the same after a death, another once a person says to try again."""
    return sha256(f"{plan}/{step}/{attempt}".encode()).hexdigest()[:64]
