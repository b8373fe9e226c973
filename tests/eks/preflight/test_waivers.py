from datetime import date
from pathlib import Path

import pytest

from aliquot.document import DocumentError
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.waivers import Waiver, WaiverError, apply, read

TODAY = date(2026, 11, 29)
FOUND = Finding(
    check="removed-apis", severity=Severity.BLOCK, what="FlowSchema shop", where="a.yaml:4", why="w", fix="f"
)


def waiver(what: str = "FlowSchema shop", where: str = "*", expires: date = date(2026, 12, 24)) -> Waiver:
    return Waiver(check="removed-apis", what=what, where=where, reason="moved by then", expires=expires)


def test_a_finding_that_is_waived_blocks_no_more_and_says_why() -> None:
    (one,) = apply([FOUND], (waiver(),), TODAY)
    assert not one.blocks
    assert one.waived == "until 2026-12-24: moved by then"


@pytest.mark.parametrize("other", [waiver(what="FlowSchema *s"), waiver(where="b.yaml:*")])
def test_one_that_fits_nothing_is_told(other: Waiver) -> None:
    finding, told = apply([FOUND], (other,), TODAY)
    assert finding.blocks
    assert (told.check, told.severity, told.fix) == ("waivers", Severity.INFO, "take it out")


def test_one_that_is_over_does_not_count_from_its_day_on() -> None:
    finding, told = apply([FOUND], (waiver(expires=TODAY),), TODAY)
    assert finding.blocks
    assert (told.severity, told.fix) == (Severity.WARN, "decide anew")


def test_globs() -> None:
    (one,) = apply([FOUND], (waiver(what="FlowSchema *", where="a.yaml:*"),), TODAY)
    assert one.waived


GOOD = (
    "waivers:\n- {check: removed-apis, what: FlowSchema shop, reason: moved by then, expires: 2026-12-24}\n"
)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text(GOOD)
    assert read(path, ["removed-apis"], TODAY) == (waiver(),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("removed-apis", "removed-api"), "there is no such check"),
        (GOOD.replace("moved by then", "' '"), "say why"),
        (GOOD.replace("2026-12-24", "2036-12-24"), "a year from now is the most"),
        (GOOD.replace("2026-12-24", "soon"), "waivers.yaml:2"),
        (GOOD.replace("reason", "reasons"), "did you mean 'reason'"),
        (GOOD.replace(", reason: moved by then", ""), "reason"),
    ],
)
def test_a_file_that_says_too_little(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "waivers.yaml"
    path.write_text(text)
    with pytest.raises((DocumentError, WaiverError)) as caught:
        read(path, ["removed-apis"], TODAY)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
