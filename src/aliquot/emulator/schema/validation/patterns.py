"""Regular expressions of schemas: Go's syntax, matched by Python's engine where it reads them as Go does.

The two agree on most patterns that people write, once `$` is spelled so that it means the very end and `\\d`, `\\w` and
`\\b` are kept to ASCII. Everything else (flags, `\\pL`, `[[:alpha:]]`, `\\z`) is left to RE2, which comes with the compiler
of CEL and is imported when a pattern first needs it.
"""

import re
from functools import lru_cache

_ONE = r"""
      (?P<end> \$ )
    | [^\\\[\](){}*+?$]                                  # itself; also ^ . |
    | \\ (?: [dDwWsSbBnrtf] | [!-/:-@\[-`{-~] )
    | \[ \^? (?: \\ (?: [dDwWsSnrtf] | [!-/:-@\[-`{-~] ) | [^\\\[\]] )+ \]
    | \( (?: \?: | \?P<[A-Za-z_]\w*> | (?!\?) )
    | \)
    | (?: [*+?] | \{ \d{1,3} (?: , \d{0,3} )? \} ) \?? (?! [*+?{] )
"""
_PART = re.compile(_ONE, re.VERBOSE)
_READ_ALIKE = re.compile(f"(?:{_ONE.replace('?P<end>', '?:')})*", re.VERBOSE)


@lru_cache(maxsize=1024)
def in_python(pattern: str) -> str:
    """`pattern` in Python's spelling; "" when only Go's engine reads it rightly."""
    if not _READ_ALIKE.fullmatch(pattern):
        return ""
    spelled = "(?a)" + _PART.sub(lambda part: r"\Z" if part["end"] else part[0], pattern)
    try:
        re.compile(spelled)
    except (re.error, OverflowError):
        return ""
    return spelled


def matches(pattern: str, text: str) -> bool:
    """Whether any part of `text` matches. A pattern that cannot be read forbids nothing."""
    if spelled := in_python(pattern):
        return re.search(spelled, text) is not None
    from aliquot.emulator.cel import EvaluationError, patterns

    try:
        return patterns.matches(pattern, text)
    except EvaluationError:
        return True


def problem(pattern: str) -> str:
    """What is wrong with a pattern in Go's eyes; "" for nothing."""
    if in_python(pattern):
        return ""
    from aliquot.emulator.cel import patterns

    return patterns.problem(pattern)
