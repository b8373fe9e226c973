"""Files that somebody broke: each is taken, or refused in one line; nothing else comes of it."""

import string

from hypothesis import given
from hypothesis import strategies as st

from aliquot import document
from aliquot.access.core.templates import file
from aliquot.access.core.templates.catalogue import shipped_documents, shipped_text
from aliquot.access.core.templates.checking import check
from aliquot.document import DocumentError

NAMES = [one.source.removeprefix("shipped/").removesuffix(".yaml") for one in shipped_documents()]
_WORDS = st.sampled_from(
    ["*", "", "pods/*", "${pod}", "~", "-1", "1e9h", "0s", "true", "[]", "{}", "[[]]", "!!python/object:x", "&a", "*a", "'", "\t", "💥", "9" * 400]
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> str:
    lines = shipped_text(draw(st.sampled_from(NAMES))).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        words = lines[at].split(" ")
        word = draw(st.integers(0, len(words) - 1))
        change = draw(st.integers(0, 3))
        if change == 0:
            del lines[at]
        elif change == 1:
            lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
        elif change == 2:
            words[word] = draw(_WORDS)
            lines[at] = " ".join(words)
        else:
            words[word] = draw(st.text(string.printable, max_size=8))
            lines[at] = " ".join(words)
        if not lines:
            break
    return "\n".join(lines)


@given(broken())
def test_a_broken_file_is_told_of_in_lines(text: str) -> None:
    try:
        documents = document.parse_all(text, source="t.yaml")
    except DocumentError as error:
        assert "\n" not in str(error)
        return
    for found in check(documents, {}):
        assert found.message and "\n" not in str(found)
        assert found.line is None or 1 <= found.line <= len(text.splitlines())
    for one in documents:
        try:
            file.read(one, {})
        except DocumentError as error:
            assert str(error).startswith("t.yaml:")
