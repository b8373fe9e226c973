"""Which groups of the API, in which versions, a cluster serves: asked once, and not found out by asking for each kind."""

import msgspec

from aliquot.kube.client import Client


class _Version(msgspec.Struct, frozen=True):
    version: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    versions: tuple[_Version, ...] = ()
    preferred: _Version | None = msgspec.field(name="preferredVersion", default=None)


class _Groups(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...] = ()


async def served_groups(client: Client) -> dict[str, tuple[str, ...]]:
    """With their versions, the preferred first. Raises ApiError, msgspec.MsgspecError."""
    told = msgspec.json.decode(await client.get_raw("/apis"), type=_Groups)
    return {
        group.name: tuple(
            dict.fromkeys(
                one.version for one in (*([group.preferred] if group.preferred else ()), *group.versions)
            )
        )
        for group in told.groups
    }
