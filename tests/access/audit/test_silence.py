from typing import Any

import pytest

from aliquot.access.audit.silence import Span, silence

DAY = 86_400.0


@pytest.mark.parametrize(
    ("last_s", "spans", "since_s"),
    [
        (None, [], None),
        (DAY, [], None),
        (DAY, [Span(0.0, None)], DAY),
        (DAY, [Span(DAY + 900, None)], None),
        (DAY, [Span(DAY + 600, None)], DAY + 600),
        (DAY, [Span(0.0, DAY - 1)], None),
        (DAY, [Span(0.0, DAY + 200)], None),
        (DAY, [Span(0.0, DAY + 400)], DAY),
        (DAY + 800, [Span(0.0, None)], None),
        (None, [Span(DAY, None)], DAY),
        (DAY, [Span(DAY + 100, DAY + 200), Span(DAY + 150, None)], DAY + 100),
    ],
)
def test_silence_is_told_while_somebody_is_let_in(
    last_s: Any, spans: list[Span], since_s: float | None
) -> None:
    found = silence("one", last_s, DAY + 1000, spans, most_s=300)
    assert (found.first_s if found is not None else None) == since_s
    if found is not None:
        assert found.text.startswith("nothing has come from the audit log of one since 1970-01-02T")
        assert found.rule == "silence"


def test_one_hole_is_one_finding() -> None:
    spans = [Span(0.0, None)]
    first, later = (silence("one", DAY, DAY + after_s, spans, most_s=300) for after_s in (400, 4000))
    assert first is not None
    assert later is not None
    assert first.key == later.key
