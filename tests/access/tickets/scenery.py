"""Requests with tickets, and sections of a configuration file."""

from pathlib import Path

from aliquot.access.core.requests import Request
from aliquot.access.tickets.settings import TicketSettings, check_tickets
from aliquot.document import Document, parse
from tests.access.life.scenery import ISSUER, person
from tests.access.tickets.fakes import SECRET, USER

SYS_ID = "0123456789abcdef0123456789abcdef"


def request(name: str = "dev", *, cluster: str = "prod-one", ticket: str = "CHG0031234") -> Request:
    return Request(
        id="r01kc0000000000000000000000",
        template="fix",
        template_digest="",
        requester=person(name),
        cluster=cluster,
        namespace="team-a",
        rules=(),
        duration_s=3600,
        justification="checkout is down",
        ticket=ticket,
        asked_at_s=0.0,
    )


def secret_file(folder: Path, secret: str = SECRET) -> Path:
    path = folder / "secret"
    path.write_text(f"{secret}\n")
    return path


def section(text: str) -> TicketSettings:
    found: Document = parse(text, source="server.yaml")
    settings = found.into(TicketSettings)
    check_tickets(found, (), settings)
    return settings


def servicenow(url: str, secret: Path, *, more: str = "") -> str:
    return f"""
systems:
  servicenow:
    kind: servicenow
    url: {url}
    user: {USER}
    secretFile: {secret}
    tables:
    - table: change_request
      prefix: CHG
      open: {{"-2": Scheduled, "-1": Implement}}
      approval: [approved]
    - table: incident
      prefix: INC
      open: {{"1": New, "2": In Progress}}
      planned: false
{more}
"""


def jira(url: str, secret: Path, *, more: str = "") -> str:
    return f"""
systems:
  jira:
    kind: jira
    url: {url}
    user: {USER}
    secretFile: {secret}
    projects: [OPS]
{more}
"""


WHOSE = f"""
    requester:
      issuer: {ISSUER}
      fields: [requested_by.user_name, assigned_to.user_name]
      people: {{d.evans: dev}}
    cluster: {{fields: [cmdb_ci.name], clusters: {{PROD-ONE: prod-one}}}}
"""


def change(**fields: str) -> dict[str, str]:
    return {
        "table": "change_request",
        "sys_id": SYS_ID,
        "number": "CHG0031234",
        "state": "-1",
        "approval": "approved",
        "start_date": "2026-11-29 06:00:00",
        "end_date": "2026-11-29 08:30:00",
        "requested_by.user_name": "somebody",
        "assigned_to.user_name": "d.evans",
        "cmdb_ci.name": "PROD-ONE",
    } | fields
