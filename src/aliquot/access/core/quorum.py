"""Who has to agree, and whether those who have are enough.

A quorum is slots. Each is filled by one person, through one of the groups that it names (or by name); nobody fills two, and
unless a quorum says otherwise no two are filled through the same group. So somebody who is in both of two groups that have to agree
is one of two, not both.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from aliquot.access.core.people import Group, Identity, Person


class Slot(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Without groups and people it is filled by nobody."""

    groups: tuple[Group, ...] = ()
    people: tuple[Person, ...] = ()


class Quorum(
    Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    slots: tuple[Slot, ...] = ()
    """None: nobody has to agree."""
    distinct_groups: bool = True


class Filled(Struct, frozen=True):
    """`group` is empty where the slot names the person."""

    slot: int
    person: Person
    group: str = ""


def may_approve(identity: Identity, requester: Person, quorum: Quorum) -> str:
    """Why somebody may not; empty: they may."""
    if identity.person == requester:
        return "nobody approves what they asked for themselves"
    if requester in identity.acts_for:
        return "a delegate of who asked does not approve for them"
    if not any(True for slot in quorum.slots for _ in _ways(identity, slot)):
        return "none of their groups is asked to approve this"
    return ""


def asked_groups(identity: Identity, quorum: Quorum) -> tuple[Group, ...]:
    """Of those that a quorum asks, in which somebody is."""
    asked = dict.fromkeys(group for slot in quorum.slots for group in slot.groups)
    return tuple(group for group in asked if group in identity.groups)


def fill(quorum: Quorum, approvers: Iterable[Identity], requester: Person) -> tuple[Filled, ...]:
    """As many slots as those who have approved can fill, each by somebody else. Approvers are as their issuers know them now;
    who may not approve, or acts for somebody who did, fills none."""
    best: tuple[Filled, ...] = ()
    for found in _fillings(quorum, _counting(quorum, approvers, requester), 0, ()):
        if len(found) > len(best):
            best = found
        if len(best) == len(quorum.slots):
            break
    return best


def is_met(quorum: Quorum, approvers: Iterable[Identity], requester: Person) -> bool:
    return len(fill(quorum, approvers, requester)) == len(quorum.slots)


def _counting(quorum: Quorum, approvers: Iterable[Identity], requester: Person) -> list[Identity]:
    by_person = {one.person: one for one in approvers if not may_approve(one, requester, quorum)}
    # Of people who could all do the same no more are looked at than there are slots: however many approve, it costs the same.
    alike: dict[tuple[tuple[str, ...], ...], list[Identity]] = {}
    for one in by_person.values():
        if one.acts_for & by_person.keys():
            continue
        like = alike.setdefault(tuple(tuple(_ways(one, slot)) for slot in quorum.slots), [])
        if len(like) < len(quorum.slots):
            like.append(one)
    return [one for like in alike.values() for one in like]


def _fillings(
    quorum: Quorum, left: Sequence[Identity], slot: int, filled: tuple[Filled, ...]
) -> Iterator[tuple[Filled, ...]]:
    if slot == len(quorum.slots):
        yield filled
        return
    taken = {one.group for one in filled if one.group} if quorum.distinct_groups else set()
    for index, identity in enumerate(left):
        for through in _ways(identity, quorum.slots[slot]):
            if through not in taken:
                rest = [*left[:index], *left[index + 1 :]]
                yield from _fillings(
                    quorum, rest, slot + 1, (*filled, Filled(slot, identity.person, through))
                )
    yield from _fillings(quorum, left, slot + 1, filled)


def _ways(identity: Identity, slot: Slot) -> Iterator[str]:
    if identity.person in slot.people:
        yield ""
    yield from (one for one in slot.groups if one in identity.groups)
