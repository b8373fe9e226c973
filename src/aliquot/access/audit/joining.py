"""Whose an event is: of which grant, and how that is known. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from aliquot.access.audit.events import Event, Who
from aliquot.access.cluster.naming import NAMESPACE, PREFIX, account_user
from aliquot.access.core.life.life import Life
from aliquot.access.core.requests import is_id
from aliquot.access.core.times import MOST_SKEW_S, WORST_AFTER_END_S, WORST_AFTER_REVOKE_S
from aliquot.access.store.reading import Given

ACCOUNTS = account_user("")
_ALL_ACCOUNTS = f"system:serviceaccounts:{NAMESPACE}"
_TOKEN = "JTI="


class Known(Struct, frozen=True):
    """What the store has of those that events name."""

    lives: Mapping[str, Life]
    credentials: Mapping[str, Given]


class How(StrEnum):
    SAID = "said"
    """By the identity itself."""
    CREDENTIAL = "credential"
    ACCOUNT = "account"
    IMPERSONATED = "impersonated"
    """Somebody else acts as the grant's account."""


class Whose(Struct, frozen=True):
    grant: str
    how: How


def whose(event: Event, known: Known) -> Whose | None:
    user, acts_as = event.user, event.acts_as
    if is_id(user.grant):
        return Whose(user.grant, How.SAID)
    if user.credential in known.credentials:
        return Whose(known.credentials[user.credential].grant, How.CREDENTIAL)
    if grant := grant_of_account(user.name):
        return Whose(grant, How.ACCOUNT)
    if acts_as is None:
        return None
    grant = acts_as.grant if is_id(acts_as.grant) else grant_of_account(acts_as.name)
    life = known.lives.get(grant)
    if life is None or life.began_at_s is None or event.received_s < life.began_at_s - MOST_SKEW_S:
        return None
    over_s = latest_use_s(life)
    return None if over_s is not None and event.received_s > over_s else Whose(grant, How.IMPERSONATED)


def is_account(who: Who) -> bool:
    """Whether it is of the namespace where the accounts of grants are."""
    return who.name.startswith(ACCOUNTS) or _ALL_ACCOUNTS in who.groups or bool(who.grant)


def grant_of_account(name: str) -> str:
    """Empty: it is none of a grant."""
    grant = name.removeprefix(ACCOUNTS + PREFIX)
    return grant if grant != name and is_id(grant) else ""


def latest_use_s(life: Life) -> float | None:
    """By the published bounds; None: it is not over, or not known to be gone."""
    latest = [] if life.end_s is None else [life.end_s + WORST_AFTER_END_S + MOST_SKEW_S]
    if life.gone_at_s is not None:
        latest.append(life.gone_at_s + WORST_AFTER_REVOKE_S)
    return min(latest, default=None)


def credentials_of(events: Iterable[Event]) -> frozenset[str]:
    """Ids of which the store has to be asked."""
    return frozenset(one.user.credential for one in events if one.user.credential.startswith(_TOKEN))


def grants_of(events: Iterable[Event]) -> frozenset[str]:
    return frozenset(
        grant
        for event in events
        for who in (event.user, event.acts_as)
        if who is not None
        for grant in (who.grant, grant_of_account(who.name))
        if is_id(grant)
    )
