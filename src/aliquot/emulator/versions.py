"""The Kubernetes versions that this server can be: what it serves, and in which form, is data by version."""

from dataclasses import dataclass

DEFAULT = "1.36"
SUPPORTED = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")

ONCE_ALONE = "1.36"
"""The version of every state that does not say which one wrote it."""


class UnknownVersion(ValueError):
    """No data for this Kubernetes version is part of this package."""


@dataclass(frozen=True, slots=True)
class Surface:
    """What a server serves: all that this Kubernetes version serves by default, and what is turned on beside it.

    `enabled` are API versions as `scheduling.k8s.io/v1beta1`: betas and alphas that are off by default.
    Raises UnknownVersion, which names the versions that there are.
    """

    version: str = DEFAULT
    enabled: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.version not in SUPPORTED:
            raise UnknownVersion(f"no Kubernetes {self.version}; there are {', '.join(SUPPORTED)}")

    def __str__(self) -> str:
        """`1.36`, or `1.36 with scheduling.k8s.io/v1beta1`."""
        return " with ".join([self.version, *([", ".join(sorted(self.enabled))] if self.enabled else [])])

    @property
    def minor(self) -> int:
        """36 for `1.36`."""
        return int(self.version.partition(".")[2])


STANDARD = Surface()
