"""The `tickets:` section of the server's configuration file:

tickets:
  systems:
    servicenow:                     # as templates call it
      kind: servicenow
      url: https://acme.service-now.com
      user: aliquot                 # without it, the secret is a bearer token
      secretFile: /etc/aliquot/servicenow
      tables:
      - {table: change_request, prefix: CHG, open: {"-2": Scheduled, "-1": Implement}, approval: [approved]}
      requester: {fields: [assigned_to.user_name], issuer: https://login.example.com}
      cluster: {fields: [cmdb_ci.name]}
    jira:
      kind: jira
      url: https://acme.atlassian.net
      user: aliquot@acme.example
      secretFile: /etc/aliquot/jira
      projects: [OPS]
  hooks: ...                        # incoming/settings.py
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from aliquot.access.outside.calling import url_trouble
from aliquot.access.tickets.incoming.settings import (
    HookSettings,
    RafaySettings,
    hook_troubles,
    rafay_troubles,
)
from aliquot.document import Document
from aliquot.document.parts import Key
from aliquot.kube.quoted import quoted

_Some = Annotated[list[str], Meta(min_length=1)]
_Timeout = Annotated[float, Meta(gt=0, le=30)]
Category: TypeAlias = Literal["new", "indeterminate", "done"]

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,4}", re.ASCII)
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,79}", re.ASCII)
_PREFIX = re.compile(r"[A-Z]{2,10}", re.ASCII)
_PROJECT = re.compile(r"[A-Z][A-Z0-9_]{1,19}", re.ASCII)


class Requester(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose ticket it has to be: one of `fields` names who asks for access."""

    fields: _Some
    issuer: str
    """Whose subjects the fields name. A person of another issuer has no ticket there."""
    people: dict[str, str] = {}
    """The ticket system's word for somebody → the issuer's. Who is not here is called the same by both."""


class ForCluster(Struct, frozen=True, kw_only=True, rename="camel"):
    """For which cluster it has to be: one of `fields` names it."""

    fields: _Some
    clusters: dict[str, str] = {}
    """The ticket system's word for a cluster → ours. Which is not here is called the same by both."""


class Table(Struct, frozen=True, kw_only=True, rename="camel"):
    table: str
    prefix: str
    """Of its numbers: CHG for CHG0031234."""
    open: Annotated[dict[str, str], Meta(min_length=1)]
    """Values of `state` → the words of templates. In any other state a ticket is not open."""
    approval: list[str] = []
    """Values of `approval`, one of which it has to have; none: it is not asked."""
    planned: bool = True
    """Whether start_date and end_date are the time for which it is planned."""


class ServiceNowSettings(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="servicenow"
):
    url: str
    user: str = ""
    secret_file: str
    timeout_s: _Timeout = 5.0
    tables: Annotated[list[Table], Meta(min_length=1)]
    requester: Requester | None = None
    cluster: ForCluster | None = None


class JiraSettings(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="jira"):
    url: str
    user: str = ""
    secret_file: str
    timeout_s: _Timeout = 5.0
    projects: _Some
    open: Annotated[tuple[Category, ...], Meta(min_length=1)] = ("new", "indeterminate")
    """Categories of status. Names of statuses are anybody's to change."""
    states: dict[str, str] = {}
    """Ids of statuses → the words of templates. With any here, a ticket in another status is not open."""
    approvals: bool = False
    """Jira Service Management: there has to be an approval, all of them have to be given."""
    planned_start: str = ""
    planned_end: str = ""
    """Fields (`customfield_10101`) with the time for which it is planned."""
    requester: Requester | None = None
    cluster: ForCluster | None = None


SystemSettings: TypeAlias = ServiceNowSettings | JiraSettings


class TicketSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    systems: dict[str, SystemSettings] = {}
    hooks: dict[str, HookSettings] = {}
    rafay: RafaySettings | None = None


def check_tickets(found: Document, at: tuple[Key, ...], settings: TicketSettings) -> None:
    """What types do not say. `at` leads to the section. Raises DocumentError."""
    taken: dict[str, str] = {}
    for name, system in settings.systems.items():
        path = (*at, "systems", name)
        for below, wrong in _troubles(system):
            raise found.error((*path, *below), wrong)
        for below, prefix in _prefixes(system):
            if prefix in taken:
                raise found.error(
                    (*path, *below),
                    f"names of tickets like {prefix}... belong to {taken[prefix]} already: one system for each",
                )
            taken[prefix] = name
    for below, wrong in hook_troubles(settings.hooks):
        raise found.error((*at, "hooks", *below), wrong)
    for below, wrong in rafay_troubles(settings.rafay) if settings.rafay is not None else ():
        raise found.error((*at, "rafay", *below), wrong)


def _prefixes(system: SystemSettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    if isinstance(system, ServiceNowSettings):
        yield from ((("tables", index, "prefix"), one.prefix) for index, one in enumerate(system.tables))
    else:
        yield from ((("projects", index), f"{one}-") for index, one in enumerate(system.projects))


def _troubles(system: SystemSettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    if wrong := url_trouble(system.url):
        yield ("url",), wrong
    if ":" in system.user or not system.user.isprintable():
        yield ("user",), f"{quoted(system.user)} is no user's name"
    if not system.secret_file:
        yield ("secretFile",), "names no file"
    for side in ("requester", "cluster"):
        part = getattr(system, side)
        for index, one in enumerate(part.fields if part is not None else ()):
            if _FIELD.fullmatch(one) is None:
                yield (side, "fields", index), f"{quoted(one)} is no field: write assigned_to.user_name"
    if system.requester is not None and not system.requester.issuer:
        yield ("requester", "issuer"), "names no issuer"
    yield from _of_servicenow(system) if isinstance(system, ServiceNowSettings) else _of_jira(system)


def _of_servicenow(system: ServiceNowSettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    for index, table in enumerate(system.tables):
        if _TABLE.fullmatch(table.table) is None:
            yield ("tables", index, "table"), f"{quoted(table.table)} is no table: write change_request"
        if _PREFIX.fullmatch(table.prefix) is None:
            yield ("tables", index, "prefix"), f"{quoted(table.prefix)} is no prefix: write CHG"


def _of_jira(system: JiraSettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    for index, project in enumerate(system.projects):
        if _PROJECT.fullmatch(project) is None:
            yield ("projects", index), f"{quoted(project)} is no project's key: write OPS"
    for field, text in (("plannedStart", system.planned_start), ("plannedEnd", system.planned_end)):
        if text and _FIELD.fullmatch(text) is None:
            yield (field,), f"{quoted(text)} is no field: write customfield_10101"
    if bool(system.planned_start) != bool(system.planned_end):
        yield ("plannedStart",), "plannedStart and plannedEnd: both, or none"
