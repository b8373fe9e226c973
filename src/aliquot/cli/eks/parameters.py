"""Types of options that the `eks` commands share."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aliquot.eks.plan.plan import OnConflict, Pin
    from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
    from aliquot.eks.versions.minor import Minor
    from aliquot.windows import Window


def gathered(command: Callable[..., Any], name: str, into: type) -> Callable[..., Any]:
    """Parameters that are the fields of `into`, a dataclass, reach the command as one of these, under that name."""
    taken = [field.name for field in fields(into)]

    @wraps(command)
    def with_one(*given: Any, **parameters: Any) -> Any:
        one = into(**{field: parameters.pop(field) for field in taken})
        return command(*given, **parameters, **{name: one})

    return with_one


def known_region(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A callback of an option: one that AWS may have. Raises click.BadParameter."""
    try:
        from aliquot.eks.aws import regions
    except ImportError:
        # That botocore is missing says whoever needs more of it.
        return value
    if value is not None and (wrong := regions.problem(value)):
        raise click.BadParameter(wrong, ctx=ctx, param=param)
    return value


looking_option = click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(0.1, 300),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How often what takes minutes is looked at.",
)
"""Of `create` and `delete`."""


class MinorType(click.ParamType["Minor"]):
    name = "minor"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "Minor":
        from aliquot.eks.versions.minor import Minor

        if isinstance(value, Minor):
            return value
        try:
            return Minor.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PinType(click.ParamType["Pin"]):
    """`GROUP@MINOR=VALUE`: of a node group, when it is rolled to that minor."""

    def __init__(self, field: str) -> None:
        """`field`: of a `Pin`, that the value goes into."""
        self.name = "pin"
        self._field = field

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "Pin":
        from aliquot.eks.plan.plan import Pin
        from aliquot.eks.versions.minor import Minor

        if isinstance(value, Pin):
            return value
        where, _, said = str(value).partition("=")
        group, _, minor = where.partition("@")
        if not (group and minor and said):
            self.fail(f"{value!r}: write it as GROUP@MINOR=VALUE, as gpu@1.32=7", param, ctx)
        try:
            parsed = Minor.parse(minor)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if self._field == "release":
            return Pin(group=group, minor=parsed, release=said)
        return Pin(group=group, minor=parsed, template_version=said)


class ConflictsType(click.ParamType["OnConflict"]):
    """`ADDON=preserve|overwrite|none`."""

    name = "conflicts"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> "OnConflict":
        from aliquot.eks.plan.plan import OnConflict
        from aliquot.eks.upgrade.acts.addon import Conflicts

        if isinstance(value, OnConflict):
            return value
        addon, _, policy = str(value).partition("=")
        if not addon or policy.upper() not in list(Conflicts):
            self.fail(f"{value!r}: write it as ADDON=preserve, =overwrite or =none", param, ctx)
        return OnConflict(addon=addon, policy=Conflicts(policy.upper()))


class SmokeType(click.ParamType["SmokeJob"]):
    """`FILE`, or `GROUP=FILE`: a manifest of a Job."""

    name = "smoke"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "SmokeJob":
        from aliquot.document import DocumentError, load_file
        from aliquot.eks.upgrade.acts.smoke_job import SmokeJob

        if isinstance(value, SmokeJob):
            return value
        before, has, after = str(value).partition("=")
        group, file = (before, after) if has else ("", before)
        try:
            manifest = load_file(Path(file), dict[str, Any])
            name = str((manifest.get("metadata") or {}).get("name") or Path(file).stem)
            return SmokeJob(name=name, manifest=manifest, group=group)
        except (DocumentError, ValueError) as error:
            self.fail(str(error), param, ctx)


class WindowType(click.ParamType["Window"]):
    """`0 22 * * 6 for 6h in Europe/Berlin`."""

    name = "window"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "Window":
        from aliquot.kube import duration
        from aliquot.windows import Window, problem

        if isinstance(value, Window):
            return value
        before, _, zone = str(value).partition(" in ")
        schedule, has, length = before.partition(" for ")
        if not has:
            self.fail(f"{value!r}: write it as 'SCHEDULE for DURATION [in ZONE]'", param, ctx)
        try:
            window = Window(schedule.strip(), duration.seconds(length.strip()), zone.strip() or "UTC")
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        wrong = problem(window)
        if wrong:
            self.fail(f"{value!r}: {wrong}", param, ctx)
        return window


class TagType(click.ParamType[tuple[str, str]]):
    name = "tag"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, has, said = str(value).partition("=")
        if not key or not has:
            self.fail(f"{value!r}: write it as TAG=VALUE", param, ctx)
        return key, said
