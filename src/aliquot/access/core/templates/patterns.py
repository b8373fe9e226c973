"""Regular expressions of parameters: simple ones only. Whoever asks for a grant chooses the text that they are tried on, and there are
patterns on which a name of 253 letters keeps a server busy for years.
"""

import re
import warnings

_MOST_REPEATS = 3
"""Of 253 letters: some million steps at the worst, a few hundredths of a second."""
_LONGEST = 200
_ESCAPED = re.compile(r"\\.")
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")


def trouble(pattern: str) -> str:
    """What is wrong with it; empty: nothing."""
    if len(pattern) > _LONGEST:
        return f"{len(pattern)} characters: {_LONGEST} are enough"
    try:
        with warnings.catch_warnings():
            # Of what a later Python reads otherwise, like `[[a-z]`.
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        return f"not a regular expression: {error}"
    if re.search(r"\\[^.\-dwsDWS]", pattern):
        return r"an escape that is not needed for names: \., \-, \d and \w are"
    bare = _CLASS.sub("x", _ESCAPED.sub("x", pattern))
    if re.search(r"\(\?[^:]", bare):
        return "a group that looks around, is named or sets flags: write (?:...) or (...)"
    if re.search(r"\)[*+{]", bare):
        return "a group is repeated, which may take forever to match: repeat characters only, like [a-z0-9-]+"
    repeats = len(re.findall(r"[*+{]", bare))
    if repeats > _MOST_REPEATS:
        return f"{repeats} repeats, which may take forever to match: {_MOST_REPEATS} at most"
    return ""
