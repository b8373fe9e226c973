"""JSON text into values with lines.

YAML nearly contains JSON, but not its tabs, surrogate pairs and long keys; so JSON is read as JSON.
"""

import bisect
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # known to all but typeshed
from typing import cast

from aliquot.document.parts import MAX_DEPTH, NO_CHILDREN, DocumentError, Key, Node, Repeat, Value, finite

_HALF_PAIR = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\n\r]*")
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


def read_json(source: str, text: str, repeats: list[Repeat] | None = None) -> Node | None:
    """None when the text is no JSON (it may be YAML). Raises DocumentError for JSON that is refused."""
    return _Reader(source, text, repeats).read()


class _NotJson(Exception):
    pass


class _Reader:
    def __init__(self, source: str, text: str, repeats: list[Repeat] | None) -> None:
        self._source = source
        self._text = text
        self._repeats = repeats
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]

    def read(self) -> Node | None:
        try:
            root = self._node(0)
            self._skip("")
            return root if self._at == len(self._text) else None
        except (_NotJson, json.JSONDecodeError):
            return None

    def _node(self, depth: int) -> Node:
        self._skip("")
        line = bisect.bisect_left(self._line_ends, self._at) + 1
        if depth > MAX_DEPTH:
            raise DocumentError(self._source, line, f"nested more than {MAX_DEPTH} levels deep")
        start = self._text[self._at : self._at + 1]
        if start == "{":
            return self._object(line, depth)
        if start == "[":
            return self._array(line, depth)
        return Node(self._string() if start == '"' else self._word(line), line, NO_CHILDREN)

    def _object(self, line: int, depth: int) -> Node:
        children: dict[Key, Node] = {}
        self._at += 1
        more = not self._skip("}")
        while more:
            key_line = bisect.bisect_left(self._line_ends, self._at) + 1
            key = self._string()
            again = key in children
            if again and self._repeats is None:
                first = children[key].line
                raise DocumentError(self._source, key_line, f"'{key}' is given twice (first on line {first})")
            self._expect(":")
            children[key] = self._node(depth + 1)
            if again and self._repeats is not None:
                self._repeats.append(Repeat(key_line, key))
            more = self._skip(",")
            if not more:
                self._expect("}")
        return Node({key: child.value for key, child in children.items()}, line, children)

    def _array(self, line: int, depth: int) -> Node:
        items: list[Node] = []
        self._at += 1
        more = not self._skip("]")
        while more:
            items.append(self._node(depth + 1))
            more = self._skip(",")
            if not more:
                self._expect("]")
        return Node([item.value for item in items], line, dict(enumerate(items)))

    def _string(self) -> str:
        if self._text[self._at : self._at + 1] != '"':
            raise _NotJson
        start = self._at
        value, self._at = scanstring(self._text, start + 1, True)
        if not value.isascii() and _HALF_PAIR.search(value):
            line = bisect.bisect_left(self._line_ends, start) + 1
            raise DocumentError(self._source, line, "half a surrogate pair is no character")
        return cast(str, value)

    def _word(self, line: int) -> Value:
        found = _WORD.match(self._text, self._at)
        if found is None:
            raise _NotJson
        self._at = found.end()
        word = found[0]
        if word in _WORDS:
            return _WORDS[word]
        try:
            return finite(float(word)) if found[1] or found[2] else int(word)
        except ValueError:
            raise DocumentError(self._source, line, "a number with too many digits") from None

    def _skip(self, mark: str) -> bool:
        """Blanks, then `mark` and the blanks behind it, if it is there."""
        self._at = cast(re.Match[str], _SPACE.match(self._text, self._at)).end()
        if not mark or not self._text.startswith(mark, self._at):
            return False
        self._at += 1
        self._at = cast(re.Match[str], _SPACE.match(self._text, self._at)).end()
        return True

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise _NotJson
