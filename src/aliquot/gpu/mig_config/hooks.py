"""The hooks file, version v1: commands that run around a change of MIG, as mig-parted's files have them.

    version: v1
    hooks:
      pre-apply-mode:
      - workdir: /etc/nvidia-mig-manager
        command: /bin/bash
        args: ["-c", "source hooks.sh; pre-apply-mode"]
        envs: {SERVICES: dcgm}

mig-parted takes any name for a point in time, and a misspelt one is never reached; here it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from aliquot import document
from aliquot.document import Document

VERSION = "v1"


class HookPoint(StrEnum):
    """When, in order."""

    APPLY_START = "apply-start"
    PRE_APPLY_MODE = "pre-apply-mode"
    """Only where the MIG mode of a GPU is about to change."""
    PRE_APPLY_CONFIG = "pre-apply-config"
    """Only where instances are about to change."""
    APPLY_EXIT = "apply-exit"
    """Whatever happened."""


@dataclass(frozen=True, slots=True)
class Hook:
    command: str
    args: tuple[str, ...] = ()
    envs: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    """Empty: that of the process."""


Hooks = Mapping[HookPoint, tuple[Hook, ...]]
"""In the order in which they run; points without hooks are left out."""


class _Hook(msgspec.Struct):
    command: str
    args: list[str] | None = None
    envs: dict[str, str] | None = None
    workdir: str = ""


class _Hooks(msgspec.Struct, rename="kebab"):
    apply_start: list[_Hook] | None = None
    pre_apply_mode: list[_Hook] | None = None
    pre_apply_config: list[_Hook] | None = None
    apply_exit: list[_Hook] | None = None


class _File(msgspec.Struct):
    version: str
    hooks: _Hooks | None = None


def load(path: Path) -> Hooks:
    """Raises DocumentError."""
    return parse(document.read(path), source=str(path))


def parse(text: str, *, source: str) -> Hooks:
    """Raises DocumentError."""
    parsed = document.parse(text, source=source)
    file = parsed.into(_File)
    if file.version != VERSION:
        raise parsed.error(
            ("version",), f"version '{file.version}' is not '{VERSION}', the only one there is"
        )
    read = file.hooks or _Hooks()
    by_point = {
        HookPoint.APPLY_START: read.apply_start,
        HookPoint.PRE_APPLY_MODE: read.pre_apply_mode,
        HookPoint.PRE_APPLY_CONFIG: read.pre_apply_config,
        HookPoint.APPLY_EXIT: read.apply_exit,
    }
    return {point: _hooks(parsed, point, hooks) for point, hooks in by_point.items() if hooks}


def _hooks(parsed: Document, point: HookPoint, hooks: Sequence[_Hook]) -> tuple[Hook, ...]:
    found = []
    for number, hook in enumerate(hooks):
        path = ("hooks", point.value, number)
        if not hook.command:
            raise parsed.error((*path, "command"), "the command is empty")
        for name in hook.envs or ():
            if not name or "=" in name:
                message = f"'{name}' is no name of a variable: it may not be empty or have a '='"
                raise parsed.error((*path, "envs", name), message)
        found.append(Hook(hook.command, tuple(hook.args or ()), dict(hook.envs or {}), hook.workdir))
    return tuple(found)
