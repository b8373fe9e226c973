"""What could be made on one GPU: each row is a GPU as it is, what is asked for, and what is offered, best first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Slice, geometry_of
from aliquot.gpu.profiles import resource_name
from aliquot.kube.api.gpunode import Sharing
from aliquot.partition.making import Effort, GpuNow, Making, Piece, after, best, makings
from aliquot.partition.ways import GpuWay, SliceWay, WayOn
from aliquot.scheduler.testing import profiles

H100 = "h100-80gb"
GPU = "nvidia.com/gpu"
CLASS = "class.aliquot.dev/"
SMALL = CLASS + "small"


def now(layout: str, *, board: str = H100, cut: bool = True, mode: bool = True) -> GpuNow:
    """`whole`, `empty` (MIG is on and there is no slice), or slices `PROFILE@START`. A piece may end in `:CLASS`,
    `*SHARES,SHARING`, `!` (ailing), `=HELD`."""
    pieces = () if layout == "empty" else tuple(map(_piece, layout.split()))
    return GpuNow("gpu0", profiles(board), not layout.startswith("whole"), pieces, cut, mode)


def _piece(text: str) -> Piece:
    text, _, held = text.partition("=")
    usable, text = not text.endswith("!"), text.removesuffix("!")
    text, _, shares = text.partition("*")
    shares, _, sharing = shares.partition(",")
    text, _, class_name = text.partition(":")
    profile, _, start = text.partition("@")
    whole = profile == "whole"
    resource = CLASS + class_name if class_name else GPU if whole else resource_name(profile)
    return Piece(
        resource,
        "" if whole else profile,
        None if whole else int(start),
        int(held or 0),
        Sharing(sharing) if sharing else Sharing.NONE,
        int(shares or 1),
        usable,
    )


def way(text: str, board: str = H100) -> WayOn:
    """`1g.10gb`, `whole`, `1/4 mps`."""
    if text == "whole":
        return GpuWay()
    part, _, sharing = text.partition(" ")
    if sharing:
        return GpuWay(Sharing(sharing), int(part.removeprefix("1/")))
    return SliceWay(next(profile for profile in profiles(board) if profile.name == text))


def told(making: Making) -> str:
    piece = making.piece
    where = "whole" if piece.start is None else f"{piece.profile}@{piece.start}"
    shares = f" in {piece.replicas}" if piece.replicas > 1 else ""
    gone = [f"{one.profile}@{one.start}" for one in making.gone if one.start is not None]
    return f"{making.effort.name} {where}{shares}{' for ' if gone else ''}{' '.join(gone)}"


def offered(gpu: GpuNow, wanted: WayOn, resource: str, shares: int = 1) -> list[str]:
    return [told(making) for making in sorted(makings(gpu, wanted, resource, shares), key=lambda m: m.order)]


@dataclass(frozen=True)
class Row:
    rule: str
    gpu: GpuNow
    way: str
    offered: list[str]
    """The best of them, and no others where `all`."""
    resource: str = SMALL
    shares: int = 1
    all: bool = True


def rows(*cases: Row) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", cases, ids=lambda row: row.rule)


def check(row: Row) -> None:
    found = offered(row.gpu, way(row.way), row.resource, row.shares)
    assert (found if row.all else found[: len(row.offered)]) == row.offered


MIG_1G = "nvidia.com/mig-1g.10gb"


@rows(
    Row("a free slice of that name", now("1g.10gb@6"), "1g.10gb", ["NONE 1g.10gb@6"], MIG_1G, all=False),
    Row("a free slice gets the name", now("1g.10gb@6"), "1g.10gb", ["RENAME 1g.10gb@6"], all=False),
    Row(
        "a slice that is one of a class gets the driver's name",
        now("1g.10gb@6:small"),
        "1g.10gb",
        ["RENAME 1g.10gb@6"],
        MIG_1G,
        all=False,
    ),
    Row("of what is held nothing", now("7g.80gb@0=1"), "1g.10gb", []),
    Row("beside what is held", now("4g.40gb@0=1"), "3g.40gb", ["CUT 3g.40gb@4"]),
    Row("of a slice that is shared nothing", now("7g.80gb@0*2,timeSlicing"), "7g.80gb", []),
    Row("what nobody has may go", now("7g.80gb@0"), "4g.40gb", ["RECUT 4g.40gb@0 for 7g.80gb@0"]),
    Row(
        "where it costs those who come least, whatever is free there",
        now("1g.10gb@0 3g.40gb@4"),
        "2g.20gb",
        ["RECUT 2g.20gb@4 for 3g.40gb@4", "CUT 2g.20gb@2", "RECUT 2g.20gb@0 for 1g.10gb@0"],
    ),
    Row("not a second media extension", now("1g.10gb+me@6=1"), "1g.10gb+me", []),
    Row(
        "the one that nobody has is taken",
        now("1g.10gb+me@6"),
        "1g.10gb+me",
        ["RENAME 1g.10gb+me@6"],
        all=False,
    ),
    Row("where others cut, only names change", now("1g.10gb@0", cut=False), "1g.10gb", ["RENAME 1g.10gb@0"]),
    Row("where others cut, nothing is cut", now("empty", cut=False), "1g.10gb", []),
    Row("what the board cannot hold is not in the way", now("3g.40gb@1=1"), "7g.80gb", ["CUT 7g.80gb@0"]),
    Row("beside what contradicts itself", now("1g.10gb@0=1 7g.80gb@0=1 1g.10gb@1"), "1g.10gb", []),
    Row("of one instance in parts, beside it", now("4g.40gb@0=1 4g.40gb@0=1"), "3g.40gb", ["CUT 3g.40gb@4"]),
    Row(
        "what somebody else wants gone gets no name",
        replace(now("1g.10gb@0 1g.10gb@1", cut=False), going=frozenset({0})),
        "1g.10gb",
        ["RENAME 1g.10gb@1"],
    ),
    Row("an ailing GPU", now("1g.10gb@0! 1g.10gb@1"), "1g.10gb", []),
)
def test_slices(row: Row) -> None:
    check(row)


@rows(
    Row("MIG is switched on", now("whole"), "4g.40gb", ["CHANGE_MODE 4g.40gb@0"]),
    Row("not under somebody", now("whole=1"), "4g.40gb", []),
    Row("not where that takes a reset", now("whole", mode=False), "4g.40gb", []),
    Row("not where others cut", now("whole", cut=False), "4g.40gb", []),
    Row("MIG is switched off", now("3g.40gb@4"), "whole", ["CHANGE_MODE whole for 3g.40gb@4"]),
    Row("not under a slice in use", now("1g.10gb@0 3g.40gb@4=1"), "whole", []),
    Row("off, not where that takes a reset", now("empty", mode=False), "whole", []),
)
def test_the_mode_changes_only_where_nobody_has_anything(row: Row) -> None:
    check(row)


@rows(
    Row("a whole GPU gets a name", now("whole"), "whole", ["RENAME whole"]),
    Row("and where others cut as well", now("whole", cut=False), "whole", ["RENAME whole"]),
    Row("it is there", now("whole:small"), "whole", ["NONE whole"]),
    Row("somebody has it", now("whole:small=1"), "whole", []),
    Row("somebody has it under another name", now("whole=1"), "whole", []),
    Row("shares are made", now("whole"), "1/4 mps", ["RENAME whole in 4"]),
    Row("not where others decide", now("whole", cut=False), "1/4 mps", []),
    Row("shares that are there", now("whole:small*4,mps=3"), "1/4 mps", ["NONE whole in 4"]),
    Row("all shares are taken", now("whole:small*4,mps=4"), "1/4 mps", []),
    Row("two shares of one GPU", now("whole:small*4,mps=2"), "1/4 mps", ["NONE whole in 4"], shares=2),
    Row("not two where one is left", now("whole:small*4,mps=3"), "1/4 mps", [], shares=2),
    Row("never more than there are", now("whole"), "1/4 mps", [], shares=5),
    Row("other shares while nobody has one", now("whole:small*4,mps"), "1/2 mps", ["RENAME whole in 2"]),
    Row("not while somebody has one", now("whole:small*4,mps=1"), "1/2 mps", []),
    Row(
        "another name for the same shares",
        now("whole:big*4,mps", cut=False),
        "1/4 mps",
        ["RENAME whole in 4"],
    ),
    Row(
        "a GPU that somebody else cuts",
        replace(now("whole", cut=False), going=frozenset({None})),
        "whole",
        [],
    ),
)
def test_gpus_and_shares(row: Row) -> None:
    check(row)


@pytest.mark.parametrize(
    ("layout", "wanted", "after_it"),
    [
        ("empty", "1g.10gb", 6),  # the last slot of 8 is of no use to any other profile of 1 or 2 slots
        ("4g.40gb@0=1", "1g.10gb", 6),
        ("1g.10gb@6=1", "1g.10gb", 5),  # as good as 4: small ones from the high end, as the fleet has it
        ("empty", "3g.40gb", 4),
    ],
)
def test_a_slice_goes_where_it_costs_those_who_come_least(layout: str, wanted: str, after_it: int) -> None:
    found = min(makings(now(layout), way(wanted), SMALL), key=lambda making: making.order)
    assert found.piece.start == after_it


def test_the_way_named_first_goes_before_less_effort() -> None:
    gpus = [now("whole"), now("1g.10gb@0=1")]
    ways = [(way("whole"), way("1g.10gb"))] * 2
    found = best(gpus, ways, SMALL)
    assert found is not None
    assert (found[0], told(found[1])) == (0, "RENAME whole")
    found = best([now("whole=1"), gpus[1]], ways, SMALL)
    assert found is not None
    assert (found[0], told(found[1])) == (1, "CUT 1g.10gb@1")


@pytest.mark.parametrize(
    ("layouts", "chosen"),
    [
        (("whole", "7g.80gb@0", "empty", "1g.10gb@6"), "1g.10gb@6"),
        (("whole", "7g.80gb@0", "empty"), "empty"),
        (("whole", "7g.80gb@0"), "7g.80gb@0"),
        (("whole",), "whole"),
        (("1g.10gb@0", "1g.10gb@6"), "1g.10gb@6"),
        (("whole", "1g.10gb@0"), "1g.10gb@0"),
    ],
)
def test_of_equal_loss_the_least_effort_and_a_change_of_mode_last(
    layouts: Sequence[str], chosen: str
) -> None:
    gpus = [replace(now(layout), uuid=layout) for layout in layouts]
    found = best(gpus, [(way("1g.10gb"),)] * len(gpus), SMALL)
    assert found is not None
    assert found[1].gpu == chosen


# --- for all GPUs ---

BOARDS = ("h100-80gb", "a100-80gb", "a30-24gb", "h200-141gb")


def slice_of(table: tuple[InstanceProfile, ...], piece: Piece) -> Slice:
    assert piece.start is not None
    return Slice(next(p.profile_id for p in table if p.name == piece.profile), piece.start)


@st.composite
def gpus(draw: st.DrawFn) -> GpuNow:
    table = profiles(draw(st.sampled_from(BOARDS)))
    cut, mode = draw(st.booleans()), draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        shares = draw(st.sampled_from((1, 2, 4)))
        sharing = Sharing.MPS if shares > 1 else Sharing.NONE
        whole = Piece(
            draw(st.sampled_from((GPU, SMALL))), "", None, draw(st.integers(0, shares)), sharing, shares
        )
        return GpuNow("gpu0", table, False, (whole,), cut, mode)
    geometry = geometry_of(table)
    names = {profile.profile_id: profile.name for profile in table}
    placed: list[Slice] = []
    for one in draw(st.lists(st.sampled_from(geometry.placements), max_size=7)):
        if geometry.fits(one, placed):
            placed.append(one)
    pieces = tuple(
        Piece(
            draw(st.sampled_from((resource_name(names[one.profile_id]), SMALL))),
            names[one.profile_id],
            one.start,
            draw(st.integers(0, 1)),
        )
        for one in sorted(placed, key=lambda one: one.start)
    )
    return GpuNow("gpu0", table, True, pieces, cut, mode)


@st.composite
def wanted(draw: st.DrawFn, gpu: GpuNow) -> tuple[WayOn, str, int]:
    profile = draw(st.sampled_from((*gpu.profiles, None)))
    if profile is not None:
        return SliceWay(profile), draw(st.sampled_from((SMALL, resource_name(profile.name)))), 1
    replicas = draw(st.sampled_from((1, 2, 4)))
    sharing = Sharing.MPS if replicas > 1 else Sharing.NONE
    return GpuWay(sharing, replicas), SMALL, draw(st.integers(1, 3))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_offered_touches_nothing_that_is_held_and_is_legal_beside_it(data: st.DataObject) -> None:
    gpu = data.draw(gpus())
    one, resource, shares = data.draw(wanted(gpu))
    held = [piece for piece in gpu.pieces if piece.held]
    for making in makings(gpu, one, resource, shares):
        assert not any(piece.held for piece in making.gone)
        then = after(gpu, making, shares)
        made = next(piece for piece in then.pieces if piece.start == making.piece.start)
        assert made.resource == resource
        assert 0 < made.held <= made.replicas
        others = [piece for piece in held if piece.start != making.piece.start]
        assert all(piece in then.pieces for piece in others)
        if making.piece.start is None:
            assert then.pieces == (made,) and not then.mig_on
        else:
            assert then.mig_on
            assert geometry_of(gpu.profiles).legal([slice_of(gpu.profiles, piece) for piece in then.pieces])
        if then.mig_on is not gpu.mig_on:
            assert gpu.may_cut and gpu.may_change_mode and not held
        if making.effort > Effort.RENAME:
            assert gpu.may_cut


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_offered_once_made_is_there(data: st.DataObject) -> None:
    gpu = data.draw(gpus())
    one, resource, shares = data.draw(wanted(gpu))
    for making in makings(gpu, one, resource, shares):
        then = after(gpu, making, shares)
        given_back = replace(
            then,
            pieces=tuple(
                making.piece if piece.start == making.piece.start else piece for piece in then.pieces
            ),
        )
        again = list(makings(given_back, one, resource, shares))
        assert any(found.piece == making.piece and found.effort is Effort.NONE for found in again)
