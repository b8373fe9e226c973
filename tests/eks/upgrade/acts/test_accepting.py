"""What only looks holds on what is new and wanted, and on nothing that a person has accepted."""

from typing import Any

import msgspec
import pytest

from aliquot.eks.estate.estate import Issue
from aliquot.eks.upgrade.acts import cluster_counts, control_plane_health, platform, soak
from aliquot.eks.upgrade.acts.cluster_counts import CountAfter, SeenAfter
from aliquot.eks.upgrade.acts.control_plane_health import ControlPlaneHealth
from aliquot.eks.upgrade.acts.platform import Part, PlatformHealth
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.upgrade.acts.table import DOINGS
from aliquot.eks.upgrade.alarms import Alarm
from aliquot.eks.upgrade.counts import Counts
from aliquot.eks.upgrade.doing import ACCEPT, Attempt, Decision
from aliquot.eks.upgrade.troubles import Trouble
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor

M132 = Minor(1, 32)
METRICS = Trouble("APIService v1beta1.metrics.k8s.io", "no endpoints")
LIVEZ = Trouble("/livez", "500")
BEFORE = Counts(
    ready_nodes={"gpu": 4},
    resources={"nvidia.com/gpu": 32},
    ready={"Deployment shop/web": 3, "Deployment kueue/kueue-controller-manager": 1},
    troubles=(METRICS,),
)


def attempt(*, late: bool = True, accepted: bool = False) -> Attempt:
    said = Decision(kind=ACCEPT, step="s", by="ada", at_s=0)
    of_another = Decision(kind=ACCEPT, step="other", by="eve", at_s=0)
    return Attempt(
        run="r",
        step="s",
        token="t",
        before=(),
        began_s=0,
        now_s=3600 if late else 1,
        kept={"counts/1.32": msgspec.to_builtins(BEFORE)},
        decisions=(of_another, said) if accepted else (of_another,),
    )


def api_server(*troubles: Trouble, version: str = "v1.32.9", **of: Any) -> Verdict:
    seen = control_plane_health.Seen(version=version, troubles=troubles)
    return control_plane_health.judged(ControlPlaneHealth(M132), seen, attempt(**of))


def test_what_was_wrong_with_the_api_server_before_holds_nobody_up() -> None:
    verdict = api_server(Trouble(METRICS.of, "other words"), late=False)
    assert isinstance(verdict, Done)
    assert "but for what was so before: APIService v1beta1.metrics.k8s.io" in verdict.told
    assert isinstance(api_server(METRICS, LIVEZ, late=False), Wait)
    held = api_server(METRICS, LIVEZ)
    assert isinstance(held, Hold)
    assert (LIVEZ.of in held.why, METRICS.of in held.why) == (True, False)


def test_a_trouble_is_accepted_and_another_minor_is_not() -> None:
    verdict = api_server(LIVEZ, accepted=True, late=False)
    assert isinstance(verdict, Done)
    assert "ada accepted: /livez" in verdict.told
    assert isinstance(api_server(version="v1.31.9", accepted=True), Hold)


def after(now: Counts, sizes: dict[str, int] | None = None, **of: Any) -> Verdict:
    seen = SeenAfter(counts=now, sizes={"gpu": 4} if sizes is None else sizes)
    return cluster_counts.judged_after(CountAfter(hop="1.32", cluster="prod"), seen, attempt(**of))


def test_what_comes_later_in_a_soak_is_not_what_was_accepted() -> None:
    first = Alarm("node group gpu", Issue(code="AccessDenied", message="no"))
    later = Alarm("node group cpu", Issue(code="AsgInstanceLaunchFailures", message="none is left"))
    bare = msgspec.structs.replace(attempt(late=False), kept={})

    def soaked(*decided: str) -> Verdict:
        said = tuple(Decision(kind=ACCEPT, step="s", by="ada", at_s=0, body={"told": one}) for one in decided)
        with_them = msgspec.structs.replace(bare, decisions=said)
        return soak.judged(Soak("prod", 3600.0), soak.Seen(alarms=(first, later)), with_them)

    held = soaked(f"prod is not well: {first}: mend it")
    assert isinstance(held, Hold)
    assert "node group cpu: AsgInstanceLaunchFailures" in held.why
    assert "node group gpu" not in held.why
    # Its words are others at each look.
    assert isinstance(soaked("node group gpu: AccessDenied: other words", held.why), Wait)


def counts(nodes: int = 4, web: int = 3, wanted: dict[str, int] | None = None) -> Counts:
    return Counts(
        ready_nodes={"gpu": nodes},
        resources={"nvidia.com/gpu": nodes * 8},
        ready={"Deployment shop/web": web, "Deployment kueue/kueue-controller-manager": 1},
        wanted={"Deployment shop/web": 3, "Deployment kueue/kueue-controller-manager": 1}
        if wanted is None
        else wanted,
    )


@pytest.mark.parametrize(
    ("now", "sizes", "holds"),
    [
        (counts(), {"gpu": 4}, ""),
        (counts(web=2), {"gpu": 4}, "Deployment shop/web: 2 of 3 ready"),
        # Whoever made it smaller meant it.
        (counts(web=2, wanted={"Deployment shop/web": 2}), {"gpu": 4}, ""),
        (counts(web=1, wanted={"Deployment shop/web": 2}), {"gpu": 4}, "Deployment shop/web: 1 of 2 ready"),
        (counts(web=0, wanted={}), {"gpu": 4}, ""),
        (counts(nodes=3), {"gpu": 4}, "node group gpu: 3 of 4 nodes are ready; nvidia.com/gpu: 24 of 32"),
        (counts(nodes=3), {"gpu": 3}, ""),
        (counts(nodes=2), {"gpu": 3}, "node group gpu: 2 of 3 nodes are ready"),
        # Of a group that is gone AWS says no size.
        (counts(nodes=0), {}, "node group gpu: 0 of 4"),
    ],
)
def test_what_is_not_wanted_any_more_is_not_missed(now: Counts, sizes: dict[str, int], holds: str) -> None:
    verdict = after(now, sizes)
    if holds:
        assert isinstance(verdict, Hold)
        assert holds in verdict.why
    else:
        assert isinstance(verdict, Done)


def test_what_is_missing_is_accepted_and_the_log_says_by_whom() -> None:
    verdict = after(counts(web=2), accepted=True)
    assert verdict == Done("ada accepted: Deployment shop/web: 2 of 3 ready")


def test_a_part_of_the_platform_is_accepted() -> None:
    kueue = Part(name="kueue/kueue-controller-manager", wanted=1, ready=0, rolled_out=True)
    seen = platform.Seen((kueue,))
    assert isinstance(platform.judged(PlatformHealth(M132), seen, attempt()), Hold)
    verdict = platform.judged(PlatformHealth(M132), seen, attempt(accepted=True, late=False))
    assert isinstance(verdict, Done)
    assert "ada accepted: kueue/kueue-controller-manager: 0 of 1 ready" in verdict.told


def test_nothing_that_does_something_can_be_accepted() -> None:
    assert {act.__name__ for act, doing in DOINGS.items() if doing.heeds_accept} == {
        "ControlPlaneHealth",
        "CountAfter",
        "PlatformHealth",
        "RightsCheck",
        "Soak",
    }
