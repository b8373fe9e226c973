"""docs/break-glass.md shows what the verifier says, word for word."""

from pathlib import Path

import pytest

from aliquot.access.log import verify
from aliquot.access.log.verify import Wrong
from tests.access.log.logs import LOG, WITNESS
from tests.access.log.test_verify import ROWS, check, dumped, kept

DOCS = (Path(__file__).parents[3] / "docs" / "break-glass.md").read_text()


def test_what_is_wrong_is_said_so() -> None:
    said = set()
    for made, match in ROWS.values():
        with pytest.raises(Wrong) as wrong:
            check(made(), whole="kept.note" in match)
        said.add(f"WRONG: {wrong.value}")
    shown = {line for line in DOCS.splitlines() if line.startswith("WRONG: ")}
    assert shown <= said, shown - said
    assert len(shown) > 3


def test_what_holds_is_said_so() -> None:
    found = verify.verify(dumped(), [LOG.public], witnesses=[WITNESS.public], kept=[kept(4)])
    lines, code = verify.told(found, [WITNESS.public], [kept(4)])
    assert code == 0
    assert "\n".join(lines) in DOCS


def test_its_exit_codes_and_keys() -> None:
    assert verify.__doc__ is not None
    codes = verify.__doc__.partition("Exit codes:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in codes] == ["0", "1", "2", "3"]
    assert all(f"| {line.split()[0]} | " in DOCS for line in codes)
    assert LOG.public.text in DOCS
    assert WITNESS.public.text in DOCS
