"""What is ours in a cluster, and how it is known: a name, a label, and the end that every object carries."""

import re
from collections.abc import Mapping
from typing import Protocol

from aliquot.clock import parse_rfc3339
from aliquot.kube import roles
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.resources import JOBS, SECRETS, SERVICEACCOUNTS, Resource

NAMESPACE = "aliquot-break-glass"
"""Has the ServiceAccounts and Secrets of grants, and no pods, ever."""
PREFIX = "aliquot-bg-"
LABEL = "aliquot.dev/break-glass"
"""Its value is the grant's id."""
ENDS_AT = "aliquot.dev/ends-at"
ENDS_BY = "aliquot.dev/ends-by"
"""No extension goes beyond; never changed."""
TEMPLATE = "aliquot.dev/template"
HOLDER = "aliquot.dev/holder"
TICKET = "aliquot.dev/ticket"
DIGEST = "aliquot.dev/request-digest"

AGENT = "aliquot-access-agent"
SENTINEL = "aliquot-access-sentinel"
"""ServiceAccounts, in the namespace of the installation."""
HEARTBEAT = "aliquot-access-broker"
"""The Lease by which the sentinel sees whether the broker is alive."""
FIELD_MANAGER = "aliquot-access"

ID_PATTERN = "r[0-9a-hjkmnp-tv-z]{26}"
_ID = re.compile(ID_PATTERN)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")

KINDS: tuple[Resource, ...] = (
    SECRETS,
    SERVICEACCOUNTS,
    roles.ROLE_BINDINGS,
    roles.CLUSTER_ROLE_BINDINGS,
    roles.ROLES,
    roles.CLUSTER_ROLES,
    JOBS,
)
"""All that a grant may be made of, in the order in which it is taken away: what lets somebody in goes first."""
HOME = (SECRETS, SERVICEACCOUNTS)
"""Kinds that are ours in NAMESPACE alone."""


class Ours(Wire, kw_only=True, frozen=True):
    """Of an object, what says whose it is and when it ends."""

    metadata: ObjectMeta


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> dict[str, str] | None: ...


def object_name(grant: str) -> str:
    return PREFIX + grant


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def is_ours(metadata: _Named) -> bool:
    return metadata.name.startswith(PREFIX) or LABEL in (metadata.labels or {})


def grant_of(metadata: _Named) -> str:
    """The id; empty where label and name do not both say the same one."""
    grant = (metadata.labels or {}).get(LABEL, "")
    return grant if is_id(grant) and metadata.name == object_name(grant) else ""


def where(resource: Resource) -> str | None:
    """The namespace in which objects of that kind are ours; None: any."""
    return NAMESPACE if resource in HOME else None


def ends_at(annotations: Mapping[str, str] | None) -> float | None:
    """None: it says no end that can be read, and has passed."""
    return _moment((annotations or {}).get(ENDS_AT, ""))


def account_user(name: str, namespace: str = NAMESPACE) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def _moment(text: str) -> float | None:
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError:
        return None
