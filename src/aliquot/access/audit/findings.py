"""What should not be, and was seen: told once a day for each that did it to one thing, however often they did."""

import hashlib

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.core.notices import Notice
from aliquot.clock import rfc3339

DAY_S = 86_400
MOST_A_DAY = 200
"""Of one cluster that are told apart."""


class Finding(Struct, frozen=True, kw_only=True, rename="camel"):
    rule: str
    cluster: str
    grant: str = ""
    """Empty: it is about none."""
    who: str = ""
    """As the cluster calls them; empty: nobody."""
    about: str = ""
    """Which thing, where each is told apart."""
    text: str
    """The sentence."""
    first_s: float
    last_s: float

    @property
    def key(self) -> str:
        parts = (self.rule, self.cluster, self.grant, self.who, self.about, str(int(self.first_s // DAY_S)))
        return f"finding-{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]}"

    def __add__(self, other: "Finding") -> "Finding":
        return replace(
            min(self, other, key=lambda one: (one.first_s, one.text)),
            first_s=min(self.first_s, other.first_s),
            last_s=max(self.last_s, other.last_s),
        )


def notice_of(finding: Finding) -> Notice:
    """Each day's is one of its own: what is delivered again later is not news, and what is done again the next day is."""
    day = rfc3339(finding.first_s)[:10]
    about = " ".join(filter(None, (finding.who, finding.about, f"on {day}")))
    return Notice(
        source="audit",
        sort=finding.rule.replace("_", " "),
        about=about,
        why=finding.text,
        cluster=finding.cluster,
        grant=finding.grant,
    )


def folded(finding: Finding) -> Finding:
    """As it is told where there are too many to tell apart."""
    return replace(
        finding,
        grant="",
        who="",
        about="*",
        text=f"more was found on this day in {finding.cluster} by '{finding.rule}' than is told one by one: read its audit log",
    )
