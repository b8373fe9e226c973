"""The configuration in docs/break-glass.md is one that is taken."""

import re
from pathlib import Path

import pytest
from msgspec import Struct

from aliquot.access.log.witness.settings import WitnessSettings, check_witnesses
from aliquot.access.notify.settings import NotifySettings, check_notify
from aliquot.access.tickets.settings import TicketSettings, check_tickets
from aliquot.document import parse

_DOCS = (Path(__file__).parents[2] / "docs" / "break-glass.md").read_text()


class _Part(Struct):
    tickets: TicketSettings = TicketSettings()
    notify: NotifySettings = NotifySettings()
    witnesses: WitnessSettings = WitnessSettings()


@pytest.mark.parametrize("section", ["tickets", "notify", "witnesses"])
def test_a_section_is_as_it_is_documented(section: str) -> None:
    (text,) = re.findall(rf"```yaml\n({section}:\n.*?)```", _DOCS, re.DOTALL)
    found = parse(text, source="docs")
    part = found.into(_Part)
    check_tickets(found, ("tickets",), part.tickets)
    check_notify(found, ("notify",), part.notify)
    check_witnesses(found, ("witnesses",), part.witnesses)
    assert getattr(part, section) != getattr(_Part(), section)
