"""Regular expressions in Go's syntax (RE2). The compiler's library brings RE2 along: it judges and matches.

Where in a text a match lies is not to be had from it, so that finding uses Python's engine on the same pattern.
"""

import re
from functools import lru_cache
from typing import Any

from aliquot.emulator.cel.errors import EvaluationError


@lru_cache(maxsize=1)
def _matcher() -> Any:
    from cel_expr_python import cel

    text = cel.Type.STRING
    return cel.NewEnv(variables={"text": text, "pattern": text}).compile("text.matches(pattern)")


@lru_cache(maxsize=1024)
def problem(pattern: str) -> str:
    """What is wrong with a pattern, as Go says it; "" for nothing."""
    result = _matcher().eval(data={"text": "", "pattern": pattern}).plain_value()
    if not isinstance(result, str):
        return ""
    what, _, where = result.partition("invalid regular expression: ")[2].rpartition(": ")
    return f"error parsing regexp: {_GO_WORDS.get(what, what)}: `{where}`"


_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
}


def matches(pattern: str, text: str) -> bool:
    """Whether any part of `text` matches. Raises EvaluationError."""
    result = _matcher().eval(data={"text": text, "pattern": pattern}).plain_value()
    if isinstance(result, bool):
        return result
    raise EvaluationError(problem(pattern) or str(result))


def find_all(pattern: str, text: str, limit: int = -1) -> list[str]:
    """The matches in order, at most `limit` unless that is negative. Raises EvaluationError."""
    if limit == 0:
        return []
    found: list[str] = []
    for match in _python(pattern).finditer(text):
        found.append(match[0])
        if len(found) == limit:
            break
    return found


_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}


@lru_cache(maxsize=1024)
def _python(pattern: str) -> re.Pattern[str]:
    if wrong := problem(pattern):
        raise EvaluationError(f"Illegal regex: {wrong}")
    translated = re.sub(r"\[:(\w+):\]", lambda match: _CLASSES.get(match[1], match[0]), pattern)
    translated = (
        translated.replace(r"\z", r"\Z").replace(r"(?<", "(?P<") if "(?<=" not in translated else translated
    )
    try:
        return re.compile(translated, re.ASCII)
    except re.error as error:
        raise EvaluationError(f"Illegal regex: {error}") from None
