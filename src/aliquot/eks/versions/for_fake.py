"""What is shipped of minors and add-ons, as the fake of EKS wants to be told of it."""

from aliquot.eks.fake.known import Build, Known, KnownMinor
from aliquot.eks.versions import addons, amis, calendar


def known() -> Known:
    rows = calendar.shipped().rows
    minors = [
        KnownMinor(
            minor=str(row.minor),
            released=row.released,
            standard_until=row.standard_until,
            extended_until=row.extended_until,
        )
        for row in rows
    ]
    return Known(minors=minors, addons={name: _builds(name) for name in addons.names()}, releases=_releases())


def _releases() -> dict[tuple[str, str], list[str]]:
    """Of GPU AMIs those at which something changed, newest first: what is in them is known."""
    found = {}
    for ami_type, minor in amis.known():
        newest_first = reversed(amis.releases(ami_type, minor))
        found[ami_type, str(minor)] = [one.release for one in newest_first]
    return found


def _builds(addon: str) -> list[Build]:
    """A build goes with the minors whose default it is, and, as AWS keeps it, with those beside them."""
    rows = calendar.shipped().rows
    by_version: dict[str, list[str]] = {}
    for row in rows:
        version = addons.build(addon, row.minor)
        if version is not None:
            by_version.setdefault(version, []).append(str(row.minor))
    every = [str(row.minor) for row in rows]
    found = []
    for version, defaults in reversed(by_version.items()):
        first, last = every.index(defaults[0]), every.index(defaults[-1])
        # kube-proxy is of one minor alone; it may stay behind, so it goes with the next three.
        around = every[first : last + 4] if addon == "kube-proxy" else every[max(0, first - 1) : last + 2]
        found.append(Build(version=version, minors=tuple(around), default_of=tuple(defaults)))
    return found
