"""What is so around a request at the moment of a step. What could not be found out is None, or not there, and gives nobody
anything; it takes nothing away either."""

from collections.abc import Mapping

from msgspec import Struct

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.life import Life
from aliquot.access.core.limits import Usage
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.terms import TicketFound


class Surroundings(Struct, frozen=True, kw_only=True):
    policy: Policy | None = None
    identities: Mapping[Person, Identity] = {}
    """The holder, those who have agreed and who acts, as their issuers know them now."""
    ticket: TicketFound | None = None
    """What its system says of the request's ticket; of a review's, when one is given with it."""
    usage: Usage | None = None
    switch: KillSwitch | None = None
    held: str = ""
    """Why nobody is given anything new now, whatever it is; empty: nothing speaks against it. It takes nothing away."""
    parent: Life | None = None
    """Of an extension: the grant that it is to make longer."""
