"""What GPUNode.spec is to say of one GPU: each row is the GPU as it is, what is claimed, and what is then wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.gpu.layout import Slice, geometry_of
from aliquot.gpu.profiles import of_gpu_instance, resource_name
from aliquot.kube.api.assignment import AssignedDevice
from aliquot.kube.api.gpunode import (
    GPUStatus,
    MigMode,
    Sharing,
    SliceClass,
    WantedGPU,
    WantedInstance,
    WantedSharing,
)
from aliquot.partition.controller.wishes import Wish, wish
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.testing import profiles
from tests.partition.objects import CLASS, facts, spelled, status

ALL = frozenset({None, *range(8)})


def claim(text: str) -> AssignedDevice:
    """`1g.10gb@0`, `1g.10gb@0:small`, `whole`, `whole:small`, `whole:small*1/4,mps`."""
    text, _, shares = text.partition("*")
    text, _, class_name = text.partition(":")
    profile, _, start = text.partition("@")
    count, _, rest = shares.partition("/")
    replicas, _, sharing = rest.partition(",")
    whole = profile == "whole"
    plain = "nvidia.com/gpu" if whole else resource_name(profile)
    return AssignedDevice(
        container="main",
        resource=CLASS + class_name if class_name else plain,
        gpu="gpu0",
        profile="" if whole else profile,
        start=None if whole else int(start),
        shares=int(count or 0),
        sharing=Sharing(sharing) if sharing else Sharing.NONE,
        replicas=int(replicas or 0),
    )


def before(text: str) -> WantedGPU | None:
    """As `spelled`: `mig 1g.10gb@0:small`, `whole :small*4,mps`."""
    if not text:
        return None
    kind, *words = text.split()
    found = WantedGPU(uuid="gpu0", mig=kind == "mig", instances=[])
    for word in words:
        what, _, class_name = word.partition(":")
        profile, _, start = what.partition("@")
        if profile:
            assert found.instances is not None
            found.instances.append(WantedInstance(start=int(start), profile=profile))
            if class_name:
                found.slice_classes.append(SliceClass(start=int(start), class_name=class_name))
            continue
        found.class_name, _, shares = class_name.partition("*")
        replicas, _, sharing = shares.partition(",")
        found.sharing = WantedSharing(strategy=Sharing(sharing or "none"), replicas=int(replicas or 1))
    return found


@dataclass(frozen=True)
class Row:
    rule: str
    gpu: GPUStatus
    claims: Sequence[str]
    wanted: str
    """Empty: the spec need not speak of it."""
    refused: Sequence[int] = ()
    """Numbers of the claims."""
    before: str = ""
    idle: frozenset[int | None] = frozenset()
    facts: GpuFacts = field(default_factory=facts)
    outdated: frozenset[int | None] = frozenset()


def rows(*cases: Row) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", cases, ids=lambda row: row.rule)


def check(row: Row) -> None:
    claims = [claim(text) for text in row.claims]
    found = wish(row.gpu, row.facts, before(row.before), claims, row.idle, row.outdated)
    assert (spelled(found.gpu) if found is not None else "") == row.wanted
    assert list(found.refused if found is not None else ()) == [claims[number] for number in row.refused]


@rows(
    Row("what nobody needs otherwise", status("whole"), [], ""),
    Row("nor what is cut already", status("1g.10gb@0 3g.40gb@4=a"), [], ""),
    Row("a slice on a whole GPU", status("whole"), ["1g.10gb@6"], "mig 1g.10gb@6"),
    Row("beside what is held", status("4g.40gb@0=a"), ["3g.40gb@4"], "mig 4g.40gb@0 3g.40gb@4"),
    Row(
        "what is free and not in the way stays",
        status("1g.10gb@0 2g.20gb@2 3g.40gb@4"),
        ["2g.20gb@4"],
        "mig 1g.10gb@0 2g.20gb@2 2g.20gb@4",
    ),
    Row(
        "what is free long enough goes",
        status("1g.10gb@0 1g.10gb@1 1g.10gb@2=a"),
        [],
        "mig 1g.10gb@0 1g.10gb@2",
        idle=frozenset({1, 2}),
    ),
    Row("not what is claimed", status("1g.10gb@0"), ["1g.10gb@0"], "", idle=ALL),
    Row("all of them go", status("1g.10gb@0"), [], "mig", idle=ALL),
    Row(
        "an older claim goes before a younger one",
        status("empty"),
        ["4g.40gb@0", "1g.10gb@3", "1g.10gb@4"],
        "mig 4g.40gb@0 1g.10gb@4",
        refused=[1],
    ),
    Row(
        "what is held goes before any",
        status("2g.20gb@0=a"),
        ["1g.10gb@1"],
        "mig 2g.20gb@0",
        refused=[0],
    ),
    Row(
        "another profile at the start of one that is held",
        status("2g.20gb@0=a"),
        ["1g.10gb@0"],
        "mig 2g.20gb@0",
        refused=[0],
    ),
    Row("a profile that the board has not", status("empty"), ["1g.5gb@0"], "mig", refused=[0]),
    Row("a start that the profile has not", status("empty"), ["2g.20gb@1"], "mig", refused=[0]),
    Row("one extension alone", status("1g.10gb+me@6=a"), ["1g.10gb+me@0"], "mig 1g.10gb+me@6", refused=[0]),
)
def test_slices(row: Row) -> None:
    check(row)


@rows(
    Row("a slice gets a name", status("1g.10gb@0"), ["1g.10gb@0:small"], "mig 1g.10gb@0:small"),
    Row("a new one has it at once", status("empty"), ["1g.10gb@0:small"], "mig 1g.10gb@0:small"),
    Row("what is held keeps its name", status("1g.10gb@0:small=a"), [], "mig 1g.10gb@0:small"),
    Row(
        "also against a claim",
        status("1g.10gb@0:small=a"),
        ["1g.10gb@0:other"],
        "mig 1g.10gb@0:small",
        refused=[0],
    ),
    Row("what is free keeps it for a while", status("1g.10gb@0:small"), [], "mig 1g.10gb@0:small"),
    Row("a claim takes it away", status("1g.10gb@0:small"), ["1g.10gb@0"], "", before=""),
    Row(
        "two claims of one slice are of one name",
        status("empty"),
        ["1g.10gb@0:small", "1g.10gb@0:small", "1g.10gb@0:other"],
        "mig 1g.10gb@0:small",
        refused=[2],
    ),
    Row(
        "the first of them says of which",
        status("empty"),
        ["1g.10gb@0", "1g.10gb@0:small"],
        "mig 1g.10gb@0",
        [1],
    ),
    Row(
        "what is held has the driver's name", status("1g.10gb@0=a"), ["1g.10gb@0:small"], "mig 1g.10gb@0", [0]
    ),
)
def test_names_of_slices(row: Row) -> None:
    check(row)


@rows(
    Row("a GPU gets a name", status("whole"), ["whole:big"], "whole :big"),
    Row("shares", status("whole"), ["whole:small*1/4,mps"], "whole :small*4,mps"),
    Row(
        "more claims of the same shares",
        status("whole"),
        ["whole:small*1/4,mps", "whole:small*2/4,mps"],
        "whole :small*4,mps",
    ),
    Row(
        "the first claim says in how many",
        status("whole"),
        ["whole:small*1/4,mps", "whole:other*1/2,mps"],
        "whole :small*4,mps",
        refused=[1],
    ),
    Row(
        "also of one class that has changed since",
        status("whole"),
        ["whole:small*1/4,mps", "whole:small*1/2,mps"],
        "whole :small*4,mps",
        refused=[1],
    ),
    Row(
        "what is held stays as it is",
        status("whole:small*4,mps=a"),
        ["whole:other*1/2,mps"],
        "whole :small*4,mps",
        refused=[0],
    ),
    Row("also where nobody asks for more", status("whole:small*4,mps=a"), [], "whole :small*4,mps"),
    Row("a GPU that a bound pod is to get", status("whole"), ["whole"], ""),
    Row(
        "and nobody else then",
        status("whole"),
        ["whole", "whole:big"],
        "whole",
        refused=[1],
    ),
    Row(
        "what was made stays for a while",
        status("whole:small*4,mps"),
        [],
        "whole :small*4,mps",
        before="whole :small*4,mps",
    ),
    Row("and goes", status("whole:small*4,mps"), [], "whole", before="whole :small*4,mps", idle=ALL),
)
def test_gpus_and_shares(row: Row) -> None:
    check(row)


@rows(
    Row("a slice stays and loses its name", status("1g.10gb@0:small"), [], "", outdated=ALL),
    Row("not one that is held", status("1g.10gb@0:small=a"), [], "mig 1g.10gb@0:small", outdated=ALL),
    Row(
        "nor one that was decided on before",
        status("1g.10gb@0:small"),
        ["1g.10gb@0:small"],
        "mig 1g.10gb@0:small",
        outdated=ALL,
    ),
    Row(
        "others of the name keep it",
        status("1g.10gb@0:small 2g.20gb@2:small"),
        [],
        "mig 1g.10gb@0 2g.20gb@2:small",
        outdated=frozenset({0}),
    ),
    Row(
        "shares are given back",
        status("whole:small*4,mps"),
        [],
        "whole",
        before="whole :small*4,mps",
        outdated=ALL,
    ),
    Row(
        "not while some are held",
        status("whole:small*4,mps=a"),
        [],
        "whole :small*4,mps",
        before="whole :small*4,mps",
        outdated=ALL,
    ),
    Row(
        "where others decide how it is cut, the same",
        status("1g.10gb@0:small 1g.10gb@1:small=a 1g.10gb@2:small"),
        ["1g.10gb@2:small"],
        "names 1:small 2:small",
        outdated=ALL,
        facts=facts(cut=False),
    ),
)
def test_what_is_not_what_its_class_asks_for(row: Row) -> None:
    check(row)


@rows(
    Row("MIG goes on for the older claim", status("whole"), ["1g.10gb@0", "whole:big"], "mig 1g.10gb@0", [1]),
    Row("then nobody gets it whole", status("whole"), ["1g.10gb@0", "whole"], "mig 1g.10gb@0", [1]),
    Row("or stays off for it", status("whole"), ["whole:big", "1g.10gb@0"], "whole :big", [1]),
    Row("MIG goes off", status("1g.10gb@0"), ["whole:big"], "whole :big"),
    Row("not under a slice in use", status("1g.10gb@0=a"), ["whole:big"], "mig 1g.10gb@0", [0]),
    Row("not on under a GPU in use", status("whole=a"), ["1g.10gb@0"], "whole", [0]),
    Row("it stays on with nothing left", status("empty"), [], "mig", before="mig 1g.10gb@0"),
    Row(
        "it never goes on where that takes a reset",
        status("whole"),
        ["1g.10gb@0"],
        "whole",
        [0],
        facts=facts(mode=False),
    ),
    Row("nor off", status("1g.10gb@0"), ["whole:big"], "mig 1g.10gb@0", [0], facts=facts(mode=False)),
    Row(
        "where it is on, slices are cut all the same",
        status("empty"),
        ["1g.10gb@0"],
        "mig 1g.10gb@0",
        facts=facts(mode=False),
    ),
)
def test_the_mode(row: Row) -> None:
    check(row)


@rows(
    Row(
        "not another name of what is held",
        status("1g.10gb@0=a"),
        ["1g.10gb@0:small"],
        "names",
        [0],
        facts=facts(cut=False),
    ),
    Row(
        "the first claim names it",
        status("whole"),
        ["whole:big", "whole:other"],
        "names :big",
        [1],
        facts=facts(cut=False),
    ),
    Row("nothing to name", status("1g.10gb@0"), [], "", facts=facts(cut=False)),
    Row(
        "not another slice that is in its place",
        status("1g.10gb@0"),
        ["3g.40gb@0:big", "1g.10gb@0:small"],
        "names 0:small",
        [0],
        facts=facts(cut=False),
    ),
    Row(
        "nor what is not there",
        status("1g.10gb@0"),
        ["1g.10gb@1:small"],
        "names",
        [0],
        facts=facts(cut=False),
    ),
    Row("nor a GPU that is cut", status("1g.10gb@0"), ["whole:big"], "names", [0], facts=facts(cut=False)),
    Row("a slice", status("1g.10gb@0"), ["1g.10gb@0:small"], "names 0:small", facts=facts(cut=False)),
    Row("a GPU", status("whole"), ["whole:big"], "names :big", facts=facts(cut=False)),
    Row(
        "not a slice of another profile",
        status("1g.10gb@0"),
        ["2g.20gb@0", "1g.10gb@0:small"],
        "names 0:small",
        [0],
        facts=facts(cut=False),
    ),
    Row(
        "kept while it is held",
        status("1g.10gb@0:small=a 1g.10gb@1:small"),
        [],
        "names 0:small",
        idle=ALL,
        facts=facts(cut=False),
    ),
    Row(
        "given back", status("whole:big"), [], "names", before="whole :big", idle=ALL, facts=facts(cut=False)
    ),
)
def test_where_somebody_else_cuts_only_names_change(row: Row) -> None:
    check(row)


@rows(
    Row(
        "slices without names of their own",
        status("1g.10gb@0 1g.10gb@1=a"),
        [],
        "",
        idle=ALL,
        facts=facts(known=False),
    ),
    Row("a GPU beside them", status("whole"), ["whole:big"], "whole :big", facts=facts(known=False)),
    Row(
        "MIG that waits for a reset",
        status("whole", mode=MigMode.PENDING_ENABLE),
        [],
        "",
        facts=facts(mode=False),
    ),
    Row("or goes with one", status("1g.10gb@0", mode=MigMode.PENDING_DISABLE), [], "", idle=ALL),
)
def test_what_cannot_be_judged_stays_as_others_made_it(row: Row) -> None:
    check(row)


@rows(
    Row(
        "parts of a GPU instance stay together",
        status("1c.3g.40gb@0=a 2c.3g.40gb@0"),
        ["1g.10gb@4"],
        "mig 3g.40gb@0[1+2] 1g.10gb@4",
        idle=ALL,
    ),
    Row(
        "nobody cuts into them",
        status("1c.3g.40gb@0 2c.3g.40gb@0=a"),
        ["1g.10gb@0"],
        "mig 3g.40gb@0[1+2]",
        [0],
    ),
    Row("a part alone", status("1c.3g.40gb@0=a"), [], ""),
    Row("free ones go as one", status("1c.3g.40gb@0 2c.3g.40gb@0"), ["7g.80gb@0"], "mig 7g.80gb@0"),
)
def test_parts_of_gpu_instances(row: Row) -> None:
    check(row)


# --- for all GPUs and claims ---


@st.composite
def cut_gpus(draw: st.DrawFn) -> GPUStatus:
    table = profiles("h100-80gb")
    geometry = geometry_of(table)
    names = {profile.profile_id: profile.name for profile in table}
    placed: list[Slice] = []
    for one in draw(st.lists(st.sampled_from(geometry.placements), max_size=6)):
        if geometry.fits(one, placed):
            placed.append(one)
    texts = [
        f"{names[one.profile_id]}@{one.start}{draw(st.sampled_from(('', ':small')))}{draw(st.sampled_from(('', '=a')))}"
        for one in placed
    ]
    return status(" ".join(texts) or "empty")


any_gpu = st.one_of(
    cut_gpus(),
    st.sampled_from(
        ("whole", "whole=a", "whole:big", "whole:big=a", "whole:small*4,mps", "whole:small*4,mps=a")
    ).map(status),
)
any_claim = st.one_of(
    st.sampled_from(("whole", "whole:big", "whole:small*1/4,mps", "whole:small*2/2,timeSlicing")),
    st.builds(
        lambda placing, name: f"{placing}{name}",
        st.sampled_from([f"{p.name}@{q.start}" for p in profiles("h100-80gb") for q in p.placements]),
        st.sampled_from(("", ":small", ":other")),
    ),
).map(claim)


@st.composite
def asked(draw: st.DrawFn) -> tuple[GPUStatus, GpuFacts, list[AssignedDevice], Wish | None]:
    gpu, how = draw(any_gpu), facts(cut=draw(st.booleans()), mode=draw(st.booleans()))
    claims = draw(st.lists(any_claim, max_size=4))
    idle = draw(st.sets(st.sampled_from([None, *range(7)])))
    return gpu, how, claims, wish(gpu, how, None, claims, idle)


@given(asked())
@settings(max_examples=100, deadline=None)
def test_what_is_held_is_never_dropped_or_changed(
    case: tuple[GPUStatus, GpuFacts, list[AssignedDevice], Wish | None],
) -> None:
    gpu, how, _, found = case
    if found is None:
        return
    held = [instance for instance in gpu.instances if instance.pods]
    if how.may_cut and held:
        assert found.gpu.mig is True
        wanted = {(one.profile, one.start) for one in found.gpu.instances or ()}
        assert {(of_gpu_instance(one.profile), one.start) for one in held} <= wanted
    if not how.may_cut:
        assert (found.gpu.mig, found.gpu.instances, found.gpu.sharing) == (None, None, None)
    names = {one.start: CLASS + one.class_name for one in found.gpu.slice_classes}
    for instance in held:
        assert names.get(instance.start, resource_name(instance.profile)) == instance.resource
    if gpu.pods:
        assert found.gpu.mig is not True
        assert (CLASS + found.gpu.class_name if found.gpu.class_name else "nvidia.com/gpu") == gpu.resource
        if gpu.shares is not None and how.may_cut:
            assert found.gpu.sharing == WantedSharing(
                strategy=gpu.shares.strategy, replicas=gpu.shares.replicas
            )


@given(asked())
@settings(max_examples=100, deadline=None)
def test_what_is_wanted_is_legal_and_holds_all_claims_but_those_refused(
    case: tuple[GPUStatus, GpuFacts, list[AssignedDevice], Wish | None],
) -> None:
    gpu, how, claims, found = case
    if found is None or not how.may_cut:
        return
    ids = {profile.name: profile.profile_id for profile in how.profiles}
    wanted = [Slice(ids[one.profile], one.start) for one in found.gpu.instances or ()]
    assert geometry_of(how.profiles).legal(wanted)
    if not how.may_change_mode:
        assert found.gpu.mig is (gpu.mig_mode is MigMode.ENABLED)
    for one in claims:
        if one in found.refused:
            continue
        if one.start is None:
            assert found.gpu.mig is not True
            continue
        assert Slice(ids[one.profile], one.start) in wanted
        names = {named.start: CLASS + named.class_name for named in found.gpu.slice_classes}
        assert names.get(one.start, resource_name(one.profile)) == one.resource
