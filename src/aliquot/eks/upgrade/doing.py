"""The form of every kind of act: look, then judge; what the rule says is done by the runner, and looked at again.

A rule never asks what was done before: it asks how things are. So it does not matter who died where.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from aliquot.clock import Clock
from aliquot.eks.aws.api import Api
from aliquot.eks.upgrade.verdicts import Hold, Verdict
from aliquot.kube.client import Client

A = TypeVar("A")
S = TypeVar("S")


class Vault(Protocol):
    """Where what was exported is kept: a directory, as a rule. Writing is whole or not at all."""

    async def put(self, name: str, content: bytes) -> None: ...

    async def get(self, name: str) -> bytes | None: ...


@dataclass(frozen=True, kw_only=True)
class Doors:
    """All through which an act may look and do."""

    api: Api
    clock: Clock
    aws_clock: Clock | None = None
    """Which AWS' dates are compared with; None: the same."""
    client: Client | None = None
    """The cluster's API server."""
    vault: Vault | None = None

    @property
    def aws_time(self) -> Clock:
        return self.aws_clock or self.clock

    @property
    def kube(self) -> Client:
        """Raises Shut."""
        if self.client is None:
            raise Shut(Hold("the cluster's API server is not known", "give --kubeconfig, then go on"))
        return self.client

    @property
    def store(self) -> Vault:
        """Raises Shut."""
        if self.vault is None:
            raise Shut(Hold("there is no place for exports", "give --data DIR, then go on"))
        return self.vault


class Shut(Exception):
    """A look that cannot be made until a person does something."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.why)
        self.hold = hold


class Decision(Struct, frozen=True, kw_only=True):
    """What a person decided of a run."""

    kind: str
    """`approve`, and what acts understand besides."""
    step: str
    """Empty: of the run as a whole."""
    by: str
    at_s: float
    body: dict[str, Any] = {}


ACCEPT = "accept"
"""A decision of one step: what it finds wrong is known, and the run goes on all the same."""


class Attempt(Struct, frozen=True, kw_only=True):
    """Of a step: what its rule may know besides what was seen."""

    run: str
    step: str
    token: str
    """For a call's clientRequestToken, and for names of what this attempt makes."""
    before: tuple[str, ...]
    """What `mark` said when the attempt began."""
    began_s: float
    now_s: float
    kept: Mapping[str, Any] = {}
    """What the run has kept so far (`Keep`), by name."""
    decisions: tuple[Decision, ...] = ()

    @property
    def accepted_by(self) -> str:
        """Who said of this step that what it finds wrong is not to hold the run; empty: nobody."""
        return next((one.by for one in self.decisions if (one.kind, one.step) == (ACCEPT, self.step)), "")

    def accepted(self, words: str) -> str:
        """Who said so of what held the step in these words; empty: nobody. Where a decision does not say what it was of, it was of all."""
        return next(
            (
                one.by
                for one in self.decisions
                if (one.kind, one.step) == (ACCEPT, self.step) and words in one.body.get("told", words)
            ),
            "",
        )


def _no_mark(_seen: object) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Doing(Generic[A, S]):
    look: Callable[[A, Doors], Awaitable[S]]
    """Raises Failure, ApiError, Shut."""
    judge: Callable[[A, S, Attempt], Verdict]
    """Pure."""
    mark: Callable[[S], tuple[str, ...]] = _no_mark
    """What is known when an attempt begins and has to be known later: kept in the journal."""
    errands: Mapping[str, Callable[[A, Doors, Mapping[str, Any]], Awaitable[None]]] = field(
        default_factory=dict
    )
    """What is neither a call to AWS nor a write to the cluster, by the name that the rule's `Errand` has. Twice is no harm."""
    heeds_accept: bool = False
    """It only looks, and a person may live with what it finds."""
