"""What is noted of pods: each row is a pod as it is seen, and how long its slice was had."""

from typing import Any

import msgspec
import pytest

from aliquot.clock import parse_rfc3339
from aliquot.document import DocumentError
from aliquot.gpu.boards import board
from aliquot.kube.api.core import Pod
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.history import History
from aliquot.partition.history_file import Entry, entries, parse, spell
from aliquot.partition.training import Stay
from aliquot.scheduler.testing import profiles, ways
from tests.partition.boards import states

H100 = "h100-80gb"
CLASSES = {"small": ways("1g.10gb", "1/4 mps"), "shared": ways("1/4 mps")}
NAMES = [profile.name for profile in states(H100).profiles]
NOW_S = parse_rfc3339("2026-01-01T01:00:00Z")
STARTED, ENDED = "2026-01-01T00:10:00Z", "2026-01-01T00:40:00Z"


def history(*noted: Entry) -> History:
    facts = GpuFacts("", board=H100, memory_mib=board(H100).memory_mib, profiles=profiles(H100))
    return History(facts, states(H100).profiles, noted)


def pod(resource: str, *, count: int = 1, uid: str = "1", **status: Any) -> Pod:
    containers = [{"name": "main", "resources": {"limits": {resource: str(count)}}}]
    metadata = {"name": f"p{uid}", "namespace": "d", "uid": uid}
    return msgspec.convert({"metadata": metadata, "spec": {"containers": containers}, "status": status}, Pod)


def over(phase: str, finished_at: str | None, start: str | None = STARTED) -> dict[str, Any]:
    state = {"terminated": {"finishedAt": finished_at}}
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": ENDED}
    return {
        "phase": phase,
        "startTime": start,
        "containerStatuses": [{"name": "main", "state": state}],
        "conditions": [ready],
    }


SMALL = "nvidia.com/mig-1g.10gb"


@pytest.mark.parametrize(
    ("rule", "one", "gone", "noted"),
    [
        ("one that waits", pod(SMALL, phase="Pending"), False, [("1g.10gb", 0, False)]),
        ("one that runs", pod(SMALL, phase="Running", startTime=STARTED), False, [("1g.10gb", 3000, False)]),
        ("one that is done", pod(SMALL, **over("Succeeded", ENDED)), False, [("1g.10gb", 1800, True)]),
        ("one that ended untold", pod(SMALL, **over("Failed", None)), False, [("1g.10gb", 1800, True)]),
        ("in no time", pod(SMALL, **over("Failed", STARTED)), False, [("1g.10gb", 1, True)]),
        ("one that never began", pod(SMALL, **over("Failed", ENDED, None)), False, [("1g.10gb", 0, False)]),
        ("deleted just now", pod(SMALL, phase="Running", startTime=STARTED), True, [("1g.10gb", 3000, True)]),
        ("deleted as it waited", pod(SMALL, phase="Pending"), True, [("1g.10gb", 0, False)]),
        ("deleted when it was done", pod(SMALL, **over("Succeeded", ENDED)), True, [("1g.10gb", 1800, True)]),
        ("each slice", pod("nvidia.com/mig-2g.20gb", count=2), False, [("2g.20gb", 0, False)] * 2),
        ("media engines", pod("nvidia.com/mig-1g.10gb.me"), False, [("1g.10gb", 0, False)]),
        ("a class", pod("class.aliquot.dev/small"), False, [("1g.10gb", 0, False)]),
        ("a class that is shared", pod("class.aliquot.dev/shared"), False, []),
        ("a whole GPU", pod("nvidia.com/gpu"), False, []),
        ("a slice of another board", pod("nvidia.com/mig-1g.5gb"), False, []),
    ],
)
def test_what_is_noted(rule: str, one: Pod, gone: bool, noted: list[tuple[str, float, bool]]) -> None:
    found = history()
    found.see(one, CLASSES, NOW_S, gone=gone)
    assert [(entry.profile, entry.stayed, entry.ended) for entry in found.entries()] == noted, rule


def test_a_pod_is_brought_up_to_date_and_what_is_forgotten_elsewhere_stays() -> None:
    found = history(Entry("2g.20gb", 5), Entry("1g.10gb", 7, False, "d/old", "9"))
    found.see(pod(SMALL, phase="Pending"), CLASSES, NOW_S)
    found.see(pod(SMALL, **over("Succeeded", ENDED)), CLASSES, NOW_S)
    again = history(*entries(spell(found.entries()).decode(), NAMES, source="f"))
    again.see(pod(SMALL, **over("Succeeded", ENDED)), CLASSES, NOW_S + 60)
    assert [(one.profile, one.stayed, one.ended, one.pod) for one in again.entries()] == [
        ("2g.20gb", 5, True, ""),
        ("1g.10gb", 7, False, "d/old"),
        ("1g.10gb", 1800, True, "d/p1"),
    ]
    text = spell(again.entries()).decode()
    assert parse(text, NAMES, source="f") == [Stay(2, 5), Stay(0, 7, ended=False), Stay(0, 1800)]
    assert text.count("\n") == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("history: []", "f:1: the history is empty"),
        ("history:\n- {profile: 1g.10gb, stayed: 0}", "f:2: one that ended has stayed for more than 0"),
        ("history:\n- {profile: 1g.10gb, stayed: -1, ended: false}", "f:2: "),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as found:
        parse(text, NAMES, source="f")
    assert message in str(found.value)
