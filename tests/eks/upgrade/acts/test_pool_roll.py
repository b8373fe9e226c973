"""What is done next about nodes of a NodePool: each row is how things are, and what the rule says."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from aliquot.eks.estate.karpenter import Claim, Image, NodeClass, Pool
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.node_class import judged as judged_class
from aliquot.eks.upgrade.acts.pool_health import PoolHealth
from aliquot.eks.upgrade.acts.pool_health import Seen as SeenHealth
from aliquot.eks.upgrade.acts.pool_health import judged as judged_health
from aliquot.eks.upgrade.acts.pool_roll import Batch, Begun, PoolRoll, judged
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.gpu_roll.layouts import SeenNode
from aliquot.eks.upgrade.node_health import Pod, PodStatus
from aliquot.eks.upgrade.pool_scene import CLASS_S, PoolScene
from aliquot.eks.upgrade.verdicts import Done, Hold, Keep, Verdict, Wait, Writes
from aliquot.eks.versions.minor import Minor

TO = Minor(1, 32)
ROLL = PoolRoll(name="web", minor=TO)
POOL = Pool(name="web", node_class="default", budgets=({"nodes": "2"},))


def ami(minor: str) -> Image:
    return Image(id=f"ami-{minor}", name=f"amazon-eks-node-al2023-x86_64-standard-{minor}-v20260920")


CLASS = NodeClass(name="default", alias="al2023@latest", how="alias al2023@latest", images=(ami("1.32"),))


def claim(number: int, minor: str = "1.31", **more: Any) -> Claim:
    name = f"web-{number}"
    settings: dict[str, Any] = {
        "made": f"2026-11-0{number}T00:00:00Z",
        "node": f"node-{number}",
        "kubelet": f"v{minor}.4",
        "image": f"ami-{minor}",
        **more,
    }
    return Claim(name=name, **settings)


OLD = tuple(claim(number) for number in (3, 1, 2))


def scene(*claims: Claim, **more: Any) -> PoolScene:
    settings: dict[str, Any] = {"name": "web", "pool": POOL, "node_class": CLASS, **more}
    return PoolScene(claims=claims, **settings)


def attempt(
    *, now_s: float = 100.0, began_s: float = 0.0, begun: Begun | None = None, batches: tuple[Batch, ...] = ()
) -> Attempt:
    kept: dict[str, Any] = {}
    if begun is not None:
        kept["1/pool/web/begun/0"] = msgspec.to_builtins(begun)
    for number, batch in enumerate(batches):
        kept[f"1/pool/web/batch/{number}"] = msgspec.to_builtins(batch)
    return Attempt(run="r", step="1", token="t", before=(), began_s=began_s, now_s=now_s, kept=kept)


BEGUN = Begun(at_s=1.0, claims=("web-1", "web-2", "web-3"), waiting=1, gpus=False)
TWO = (Batch(at_s=50.0, claims=("web-1", "web-2")),)


def deleted(verdict: Verdict) -> list[str]:
    assert isinstance(verdict, Writes), verdict
    assert {(write.verb, write.resource.kind) for write in verdict.writes} == {("delete", "NodeClaim")}
    return [write.name for write in verdict.writes]


def test_how_it_was_is_kept_before_anything_goes() -> None:
    coming = claim(9, kubelet="")
    said = judged(ROLL, scene(*OLD, coming, claim(8, "1.32"), waiting=("shop/a",)), attempt())
    assert isinstance(said, Keep)
    assert said.name == "1/pool/web/begun/0"
    assert msgspec.convert(said.value, Begun) == Begun(
        at_s=100.0, claims=("web-3", "web-1", "web-2", "web-9"), waiting=1, gpus=False
    )


def test_a_batch_is_kept_and_then_deleted_the_oldest_first() -> None:
    said = judged(ROLL, scene(*OLD), attempt(begun=BEGUN))
    assert said == Keep("1/pool/web/batch/0", {"at_s": 100.0, "claims": ("web-1", "web-2")})
    said = judged(ROLL, scene(*OLD), attempt(begun=BEGUN, batches=TWO))
    assert deleted(said) == ["web-1", "web-2"]


def test_whoever_died_among_deletions_waits_for_those_that_are_going() -> None:
    half = (claim(1, leaving=True), claim(2), claim(3))
    said = judged(ROLL, scene(*half), attempt(begun=BEGUN, batches=TWO))
    assert isinstance(said, Wait)
    said = judged(ROLL, scene(claim(2), claim(3)), attempt(begun=BEGUN, batches=TWO))
    assert said == Keep("1/pool/web/batch/1", {"at_s": 100.0, "claims": ("web-2", "web-3")})


def test_all_at_once() -> None:
    all_at_once = replace(ROLL, at_once=True)
    batch = (Batch(at_s=50.0, claims=("web-1", "web-2", "web-3")),)
    assert len(deleted(judged(all_at_once, scene(*OLD), attempt(begun=BEGUN, batches=batch)))) == 3


@pytest.mark.parametrize(
    ("seen", "now_s", "said"),
    [
        (scene(claim(1, leaving=True)), 100.0, "Karpenter empties and ends them"),
        (
            scene(claim(1, leaving=True), staying=("pod shop/web-1 on node-1 (PodDisruptionBudget web)",)),
            1851.0,
            "node-1: not gone after 30 min; there stay pod shop/web-1 on node-1 (PodDisruptionBudget web)",
        ),
        # Karpenter ends it then, whatever stays.
        (scene(claim(1, leaving=True, grace_s=3600.0)), 1851.0, "Karpenter empties and ends them"),
        (scene(claim(1, leaving=True, grace_s=3600.0)), 4251.0, "not gone after 70 min"),
        (
            scene(claim(4, "1.32"), waiting=("shop/a", "shop/b")),
            100.0,
            "2 pods wait for a node, 1 did before",
        ),
        (scene(claim(4, "1.32"), waiting=("shop/a", "shop/b")), 3651.0, "2 pods wait for a node, 1 did"),
        (scene(claim(1, kubelet="")), 100.0, "NodeClaim web-1 has no node yet"),
        (
            scene(
                *OLD, pool=replace(POOL, budgets=({"nodes": "0", "schedule": "@daily", "duration": "24h"},))
            ),
            100.0,
            "its budgets let no node go now",
        ),
        (scene(claim(4, "1.32")), 100.0, "3 nodes are replaced, nothing is of another minor than 1.32"),
        (scene(claim(1, held=True)), 100.0, "karpenter.sh/do-not-disrupt is set on node-1"),
        (
            scene(nodes=(SeenNode(name="lost", kubelet="v1.31.4"),)),
            100.0,
            "node lost is of another minor, and has no NodeClaim",
        ),
        # Whatever goes of those that are there already is nobody's matter here.
        (scene(claim(4, "1.32", leaving=True)), 9e9, "3 nodes are replaced"),
        (scene(claim(4)), 100.0, "node node-4 came with another minor than 1.32, too"),
        (scene(pool=None), 100.0, "3 nodes are replaced"),
        (scene(claim(1), pool=None), 100.0, "NodePool web is gone, and node node-1 of it is there"),
        (scene(claim(1), node_class=None), 100.0, "EC2NodeClass default is not there"),
    ],
)
def test_what_it_waits_for_and_what_holds_it(seen: PoolScene, now_s: float, said: str) -> None:
    verdict = judged(ROLL, seen, attempt(now_s=now_s, begun=BEGUN, batches=TWO))
    assert isinstance(verdict, Wait | Hold | Done)
    assert said in (verdict.told if isinstance(verdict, Done) else verdict.why)
    waits = any(part in said for part in ("empties", "no node yet", "no node go now")) or (
        now_s < 3000 and "wait for a node" in said
    )
    assert isinstance(verdict, Wait) == waits


def test_what_came_behind_is_not_deleted_again_even_by_who_tries_again() -> None:
    """Its AMI is the one that the class selects: so it would come again."""
    own = NodeClass(name="own", how="AMIs by id", images=(Image(id="ami-x", name="golden"),))
    again = claim(4, image="ami-x")
    said = judged(ROLL, scene(again, node_class=own), attempt(now_s=9000.0, began_s=8000.0, begun=BEGUN))
    assert isinstance(said, Hold)
    assert "EC2NodeClass own (AMIs by id) selects ami-x, which the nodes have that are to go" in said.why
    other = replace(own, images=(Image(id="ami-y", name="golden"),))
    said = judged(ROLL, scene(again, node_class=other), attempt(now_s=9000.0, began_s=8000.0, begun=BEGUN))
    assert isinstance(said, Keep), "another image may be of the minor: it is tried"


BY_ID = NodeClass(name="own", how="AMIs by id")


@pytest.mark.parametrize(
    ("of_class", "waited_s", "kind", "todo"),
    [
        (CLASS, 0.0, Done, ""),
        (replace(CLASS, images=(ami("1.31"),)), 0.0, Wait, ""),
        (replace(CLASS, images=(ami("1.31"),)), CLASS_S, Hold, "whether AWS has that release for 1.32"),
        (replace(CLASS, images=()), 0.0, Wait, ""),
        (replace(CLASS, images=()), CLASS_S, Hold, "set an alias that it has"),
        # On the way back the control plane is still the newer one.
        (replace(CLASS, images=(ami("1.33"),)), 0.0, Hold, "an alias follows the control plane"),
        (replace(BY_ID, images=(ami("1.31"),)), 0.0, Hold, "let it select AMIs of 1.32"),
        (
            replace(BY_ID, images=(Image(id="ami-1.31", name="golden"),)),
            0.0,
            Hold,
            "let it select AMIs of 1.32",
        ),
        (BY_ID, 0.0, Hold, "let it select AMIs of 1.32"),
        (replace(BY_ID, images=(ami("1.32"),)), 0.0, Done, ""),
        (replace(BY_ID, images=(Image(id="ami-new", name="golden"),)), 0.0, Done, ""),
    ],
)
def test_nothing_goes_before_the_class_gives_the_minor(
    of_class: NodeClass, waited_s: float, kind: type[Verdict], todo: str
) -> None:
    seen = scene(*OLD, node_class=of_class)
    said = judged_class(NodeClassReady(pool="web", minor=TO), seen, attempt(now_s=waited_s))
    assert isinstance(said, kind)
    if isinstance(said, Hold):
        assert todo in said.todo
    rolls = judged(ROLL, seen, attempt(now_s=waited_s, begun=BEGUN, batches=TWO))
    assert isinstance(rolls, Writes if kind is Done else kind)


@pytest.mark.parametrize(
    ("of_class", "waited_s", "kind"),
    [
        (CLASS, 0.0, Done),
        (replace(CLASS, images=(ami("1.33"),)), 0.0, Wait),
        (replace(CLASS, images=(ami("1.33"),)), CLASS_S, Hold),
        (replace(BY_ID, images=(Image(id="ami-new", name="golden"),)), 0.0, Done),
        (None, 0.0, Done),
    ],
)
def test_karpenter_does_not_go_on_before_an_alias_has_followed_the_control_plane_back(
    of_class: NodeClass | None, waited_s: float, kind: type[Verdict]
) -> None:
    """Whatever nodes there are: it would make newer ones of them."""
    act = NodeClassReady(pool="web", minor=TO, afterwards=True)
    seen = scene(claim(1, "1.32"), node_class=of_class)
    assert isinstance(judged_class(act, seen, attempt(now_s=waited_s)), kind)


WELL = SeenNode(name="node-1", kubelet="v1.32.9", ready=True, resources={"nvidia.com/gpu": 8})
WITH_GPUS = Begun(at_s=1.0, claims=("web-0",), waiting=1, gpus=True)
PENDING = Pod(status=PodStatus(phase="Pending"))


@pytest.mark.parametrize(
    ("node", "pods", "begun", "trouble"),
    [
        (WELL, (), WITH_GPUS, ""),
        (replace(WELL, ready=False), (), WITH_GPUS, "node node-1 is not ready"),
        (replace(WELL, kubelet="v1.31.4"), (), WITH_GPUS, "its kubelet is v1.31.4, not 1.32"),
        (replace(WELL, resources={"nvidia.com/gpu": 7}), (), WITH_GPUS, "node node-1 offers 7 of its 8 GPUs"),
        (replace(WELL, resources={}), (), WITH_GPUS, "node node-1 offers 0 of its 8 GPUs"),
        (replace(WELL, resources={"nvidia.com/mig-1g.10gb": 56}), (), WITH_GPUS, ""),
        # Nobody offered any before, either.
        (replace(WELL, resources={}), (), BEGUN, ""),
        (WELL, (PENDING,), WITH_GPUS, ""),
        (WELL, (PENDING, PENDING), WITH_GPUS, "2 pods wait for a node, 1 did before"),
    ],
)
def test_nodes_that_came_are_well(node: SeenNode, pods: tuple[Pod, ...], begun: Begun, trouble: str) -> None:
    seen = SeenHealth(claims=(claim(1, "1.32", gpus=8),), nodes=(node,), pods=pods)
    act = PoolHealth(name="web", minor=TO, settle_s=600.0)
    said = judged_health(act, seen, attempt(begun=begun))
    assert isinstance(said, Wait) if trouble else isinstance(said, Done)
    if isinstance(said, Wait):
        assert trouble in said.why
        held = judged_health(act, seen, attempt(now_s=601.0, begun=begun))
        assert isinstance(held, Hold)
        assert trouble in held.why
