"""Containerfiles, as far as ours go: instructions with their arguments, in the stages that they are of."""

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

_KNOWN = frozenset({"ARG", "FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "ENTRYPOINT", "CMD"})


@dataclass
class Stage:
    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [argument for one, argument in self.instructions if one == name]

    def words(self, name: str) -> list[str]:
        """Of the last instruction of that name, in its form with brackets."""
        found: list[str] = json.loads(self.all(name)[-1])
        return found


@dataclass(frozen=True)
class Copied:
    sources: list[str]
    target: str
    stage: str
    """Empty: from the tree."""


def parse(text: str) -> list[Stage]:
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for instruction in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        name, _, argument = instruction.partition(" ")
        argument = " ".join(argument.split())
        assert name in _KNOWN, instruction
        if name == "ARG":
            assert not stages, "of a stage alone: not read here"
            key, _, value = argument.partition("=")
            arguments[key] = value
        elif name == "FROM":
            base, _, called = argument.partition(" AS ")
            stages.append(Stage(re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base), called))
        else:
            stages[-1].instructions.append((name, argument))
    return stages


def copied(argument: str) -> Copied:
    words = argument.split()
    flags = [word for word in words if word.startswith("--")]
    assert all(flag.startswith("--from=") for flag in flags)
    *sources, target = words[len(flags) :]
    return Copied(sources, target, flags[0].removeprefix("--from=") if flags else "")


def ignored(text: str, path: Path) -> bool:
    """By a .dockerignore: the last pattern that fits a path, or a directory that it is in, decides."""
    found = False
    for line in text.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        kept = pattern.startswith("!")
        if any(_fits(str(one), pattern.removeprefix("!")) for one in (path, *path.parents) if one.name):
            found = not kept
    return found


def _fits(path: str, pattern: str) -> bool:
    anywhere = pattern.startswith("**/")
    parts, wanted = path.split("/"), pattern.removeprefix("**/").split("/")
    if anywhere:
        parts = parts[-len(wanted) :]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
