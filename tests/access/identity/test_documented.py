import re
from pathlib import Path

from aliquot.access.identity.configuration import parse_identity
from aliquot.access.identity.local.accounts import INVITED_FOR_S
from aliquot.access.identity.local.codes import FREE_FAILURES, LONGEST_WAIT_S
from aliquot.access.identity.local.sessions import MOST, SESSION_S
from aliquot.access.identity.oidc.claims import LONGEST_S, SKEW_S
from aliquot.access.identity.oidc.keys import FORGET_S, LOOK_EVERY_S, REFRESH_S

TEXT = (Path(__file__).parents[3] / "docs" / "break-glass.md").read_text()
SECTION = TEXT.split("## Who somebody is\n", 1)[1].split("\n## ", 1)[0]


def test_the_section_that_is_shown_is_one() -> None:
    shown = re.findall(r"```yaml\nidentity:\n(.*?)```", SECTION, re.DOTALL)
    assert len(shown) == 1
    section = parse_identity("\n".join(line[2:] for line in shown[0].splitlines()), "docs")
    assert section.local is not None and section.oidc[0].step_up.webauthn is not None


def test_the_figures_that_are_told_are_those_that_hold() -> None:
    text = " ".join(SECTION.split())
    assert (REFRESH_S, LOOK_EVERY_S, FORGET_S) == (900, 10, 3600)
    for told in ("every 15 minutes", "once in 10 seconds", "believed for an hour"):
        assert told in text
    assert SKEW_S == 60 and "may be 60 seconds ahead" in text
    assert LONGEST_S == INVITED_FOR_S == 86_400 and "a day apart at most" in text and "within a day" in text
    assert SESSION_S == 3600 and "Sessions last an hour" in text
    assert MOST == 10 and "an eleventh begins" in text
    assert FREE_FAILURES == 5 and "From the fifth wrong one" in text
    assert LONGEST_WAIT_S == 3600 and "up to an hour" in text
