"""What a webhook asks for: an ask like any other, in somebody's name."""

from msgspec import Struct

from aliquot.access.core.people import Person
from aliquot.access.core.terms import Ask


class Asked(Struct, frozen=True):
    person: Person
    """As the sender says. What they may have is asked of their issuer."""
    ask: Ask
