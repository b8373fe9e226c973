"""What checking all of the log comes to, in the verifier's own words."""

from collections.abc import Iterable, Sequence

from aliquot.access.log.verify import NOT_PROVEN, Key, Wrong, told, verify
from aliquot.access.reports.report import Checked


def checked(lines: Iterable[bytes], keys: Sequence[Key], witnesses: Sequence[Key] = ()) -> Checked:
    """`lines`: of a dump."""
    try:
        found = verify(lines, keys, witnesses=witnesses)
    except Wrong as wrong:
        return Checked(False, (f"WRONG: {wrong}",))
    says, _ = told(found, witnesses, ())
    return Checked(True, tuple(one for one in says if one != NOT_PROVEN))
