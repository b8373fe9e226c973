"""Resource names as a configuration gives them, and the patterns that say which device gets which."""

import re
from dataclasses import dataclass
from functools import cached_property

from aliquot.gpu.profiles import GPU_RESOURCE, RESOURCE_PREFIX, resource_name

MAX_LENGTH = 63
"""Kubernetes' limit for the whole name here, prefix included."""
SHARED = ".shared"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)


class BadResourceName(ValueError):
    """One line: what is wrong with it."""


def full_name(text: str) -> str:
    """With NVIDIA's prefix, which may be left out. Raises BadResourceName."""
    name = text if text.startswith(RESOURCE_PREFIX) else RESOURCE_PREFIX + text
    if len(name) > MAX_LENGTH:
        raise BadResourceName(f"'{name}' has {len(name)} characters, resource names at most {MAX_LENGTH}")
    rest = name.removeprefix(RESOURCE_PREFIX)
    if not all(_LABEL.fullmatch(part) for part in rest.split(".")):
        raise BadResourceName(
            f"'{text}' is no resource name: lower-case letters, digits, '-' and '.' after {RESOURCE_PREFIX}"
        )
    return name


def shared_name(name: str) -> str:
    """Of shares whose resource is renamed."""
    return name if name.endswith(SHARED) else name + SHARED


@dataclass(frozen=True)
class Pattern:
    """`*` stands for any text, and everything else for itself."""

    pattern: str
    resource: str

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(".*".join(map(re.escape, self.pattern.split("*"))))

    def matches(self, text: str) -> bool:
        return self._expression.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Naming:
    """The first pattern that matches says the name; NVIDIA's own names stand behind them all."""

    gpus: tuple[Pattern, ...] = ()
    """On the product: `NVIDIA A100-SXM4-40GB`."""
    mig: tuple[Pattern, ...] = ()
    """On the profile: `1g.5gb`."""

    def of_gpu(self, product: str) -> str:
        return next((p.resource for p in self.gpus if p.matches(product)), GPU_RESOURCE)

    def of_profile(self, profile: str) -> str:
        return next((p.resource for p in self.mig if p.matches(profile)), resource_name(profile))
