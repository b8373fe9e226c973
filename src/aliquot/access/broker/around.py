"""Who and what the broker asks before it decides. Whatever does not answer is not known, and what is not known gives nobody anything."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from aliquot.access.cluster.credentials import Credential
from aliquot.access.core.life.effects import CommentTicket, Notify, TellCheckpoint, TellNotice
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.life.life import Life
from aliquot.access.core.outage import KnownGrant
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.requests import Request
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.core.terms import TicketFound


class Caller(Struct, frozen=True, kw_only=True):
    """Who has come to the door, and how they proved it."""

    identity: Identity
    auth: str
    credential: str = ""
    step_up: StepUpLevel = StepUpLevel.NONE
    """A fresh proof for just what they are doing."""

    @property
    def person(self) -> Person:
        return self.identity.person


class Policies(Protocol):
    def now(self) -> Policy | None:
        """None: it cannot be read."""
        ...

    def to_end(self) -> Policy | None:
        """By which somebody may see and end things: the last that could be read. A file that somebody broke keeps nobody in."""
        ...


class People(Protocol):
    async def known(self, people: Iterable[Person]) -> Mapping[Person, Identity]:
        """As their issuers know them now; who is not there is not known."""
        ...


class Tickets(Protocol):
    async def find(self, ticket: str, request: Request) -> TicketFound:
        """What its system says of it. Does not raise: an answer may be that nobody could be asked."""
        ...

    async def comment(self, comment: CommentTicket) -> None:
        """Raises Undelivered."""
        ...


class Notifier(Protocol):
    async def notify(self, news: Notify, life: Life) -> None:
        """Raises Undelivered."""
        ...

    async def checkpoint(self, told: TellCheckpoint) -> None:
        """Raises Undelivered."""
        ...

    async def notice(self, told: TellNotice) -> None:
        """Raises Undelivered."""
        ...


class ClusterAgent(Protocol):
    """`access.cluster.agent.Agent`, here or at the other end of a wire."""

    async def make(self, spec: GrantSpec, fence: int) -> None: ...

    async def remove(self, grant: str, namespace: str, fence: int) -> None: ...

    async def mint(self, spec: GrantSpec) -> Credential: ...

    async def there(self, cluster: str) -> Sequence[KnownGrant]:
        """The grants that the cluster has anything of, as it says itself. `cluster`: its name here. Raises ApiError."""
        ...


class HeldBack(Exception):
    """One line: why nothing is made of it now. It may be later."""


class Outside(Struct, frozen=True, kw_only=True):
    policies: Policies
    people: People
    tickets: Tickets
    notifier: Notifier
    agents: Mapping[str, ClusterAgent]
    """By cluster."""
