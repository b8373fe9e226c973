"""The compiler's errors in the words of the API server, whose CEL is another implementation (cel-go)."""

import re

_ISSUE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_SUBSTITUTIONS = (
    (re.compile(r"(undefined field '.*') not found in struct '.*'"), r"\1"),
    (
        re.compile(r"expression of type '(.*)' cannot be the operand of a select operation"),
        r"type '\1' does not support field selection",
    ),
    (re.compile(r"cannot be the range of a comprehension"), "cannot be range of a comprehension"),
    (re.compile(r"has\(\) argument must be a field selection"), "invalid argument to has() macro"),
    (
        re.compile(r"(?:all|exists|exists_one)\(\) variable name must be a simple identifier"),
        "argument must be a simple name",
    ),
    (
        re.compile(r"(?:map|filter)\(\) variable name must be a simple identifier"),
        "argument is not an identifier",
    ),
    (re.compile(r".*\(\) variable name cannot be .*"), "iteration variable overwrites accumulator variable"),
)
_QUALIFIED = re.compile(r"undeclared reference to '([^'.]+)\.[^']+' \(in container ''\)")


def reworded(error: str, text: str) -> str:
    """`INVALID_ARGUMENT: ERROR: <input>:1:5: ... [INVALID_ARGUMENT]` as the API server tells it of `text`."""
    code, separator, rest = error.partition(": ")
    if not separator:
        return error
    lines = text.split("\n")
    issues = [_issue(match, lines) for match in _ISSUE.finditer(rest.removesuffix(f" [{code}]"))]
    return "\n".join(issues) or rest


def located(text: str, at: int, words: str) -> str:
    """A problem at an offset of `text`: its line, and a caret below the place."""
    before = text[:at]
    line, column = before.count("\n"), at - (before.rfind("\n") + 1)
    return _shown(text.split("\n"), line, column, words)


def _issue(match: re.Match[str], lines: list[str]) -> str:
    line, column, words = int(match[1]) - 1, int(match[2]) - 1, match[3]
    for pattern, instead in _SUBSTITUTIONS:
        words = pattern.sub(instead, words)
    qualified = _QUALIFIED.fullmatch(words)
    if qualified is not None and line < len(lines):
        # Of a.b.c, where a is unknown, cel-go names a.
        words = f"undeclared reference to '{qualified[1]}' (in container '')"
        column = max(lines[line].rfind(qualified[1], 0, column), 0)
    return _shown(lines, line, column, words)


def _shown(lines: list[str], line: int, column: int, words: str) -> str:
    shown = lines[line] if line < len(lines) else ""
    return f"ERROR: <input>:{line + 1}:{column + 1}: {words}\n | {shown}\n | {'.' * column}^"
