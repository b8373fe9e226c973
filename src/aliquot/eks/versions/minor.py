"""A Kubernetes minor: 1.31."""

import re
from functools import total_ordering
from typing import Any, Self

_TEXT = re.compile(r"v?(\d+)\.(\d+)\+?(?:[.\-+].*)?", re.ASCII)


@total_ordering
class Minor:
    """A plain class, no Struct or dataclass: those msgspec would write as objects."""

    __slots__ = ("major", "minor")

    def __init__(self, major: int, minor: int) -> None:
        self.major = major
        self.minor = minor

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of "1.31", "v1.31.4-eks-1a2b3c4" or the "31+" style of a server's version put together. Raises ValueError."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a Kubernetes version: write it as 1.32")
        return cls(int(match[1]), int(match[2]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Minor) and (self.major, self.minor) == (other.major, other.minor)

    def __lt__(self, other: "Minor") -> bool:
        return (self.major, self.minor) < (other.major, other.minor)

    def __hash__(self) -> int:
        return hash((self.major, self.minor))

    def __repr__(self) -> str:
        return f"Minor({self.major}, {self.minor})"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @property
    def next(self) -> "Minor":
        return Minor(self.major, self.minor + 1)

    @property
    def previous(self) -> "Minor":
        return Minor(self.major, self.minor - 1)

    def minus(self, other: "Minor") -> int:
        """How many minors this is ahead of the other."""
        if self.major != other.major:
            raise ValueError(
                f"{self} and {other} are of two majors: nothing is known of how these go together"
            )
        return self.minor - other.minor


def enc_hook(value: Any) -> Any:
    """For msgspec: a minor is text in JSON and YAML."""
    if isinstance(value, Minor):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def dec_hook(wanted: type, value: Any) -> Any:
    if wanted is Minor and isinstance(value, str):
        return Minor.parse(value)
    raise NotImplementedError(wanted.__name__)
