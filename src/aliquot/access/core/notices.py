"""What security has to know though no request brought it about: a cluster that was changed behind our back, an alarm of the sentinel,
a use that no grant explains, a witness that does not sign. Who looks finds the same again and again; it is told once a day."""

from hashlib import sha256

import msgspec
from msgspec import Struct

AGAIN_S = 24 * 3600.0
"""What still stands is told anew."""
GONE_S = 3600.0
"""What was not seen for so long and is there again is told as new."""
SEEN_EVERY_S = 300.0
"""How exactly it is known when it was seen last."""
MOST_TOLD_AN_HOUR = 50
"""By one who looks. All is in the log; whoever floods it does not flood people too."""
_LONGEST = 1000


class Notice(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    source: str
    """Who found it: `agent`, `sentinel`, `audit`, `witness`, `journal`."""
    sort: str
    """What it is, in a word or two: `bypass`, `left over`."""
    about: str
    """Which object or person, so that it is known when it is found again."""
    why: str
    """What is wrong with it. Not part of what it is known by; the log only commits to it."""
    cluster: str = ""
    grant: str = ""
    """Whose it is, where it is anybody's."""

    @property
    def key(self) -> str:
        known_by = (self.source, self.sort, self.cluster, self.about, self.grant)
        return sha256(msgspec.json.encode(known_by)).hexdigest()


def noticed(notice: Notice) -> Notice:
    """As it can be written and read, whatever somebody called an object."""
    return Notice(**{name: plain(getattr(notice, name)) for name in Notice.__struct_fields__})


def is_news(*, told_s: float | None, seen_s: float, now_s: float) -> bool:
    """`told_s`: when it was told last; None: never."""
    return told_s is None or now_s - told_s >= AGAIN_S or now_s - seen_s >= GONE_S


def plain(text: str) -> str:
    """What others said, as it can be written anywhere: on one line, of bounded length, without what nobody sees."""
    if not text.isprintable():
        text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
