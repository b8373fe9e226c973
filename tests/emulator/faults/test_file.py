import asyncio
from pathlib import Path

import pytest

from aliquot.document import DocumentError
from aliquot.emulator.faults import file
from aliquot.emulator.faults.file import FaultPlan, parse
from aliquot.emulator.faults.rules import Cut, Error, Rule, WatchFault

EXAMPLE = """
seed: 7
rules:
- {verbs: [list], resources: [pods], delaySeconds: 0.1, jitterSeconds: 2}
- {verbs: [create], error: {status: 429, retryAfterSeconds: 1}, times: 3}
- {users: ["alice"], cut: answer, probability: 0.1}
- {verbs: [watch], watch: {stallAfter: 10}}
diskFull: true
clockOffsetSeconds: -3600
forgetHistory: true
"""


def test_a_file_is_read() -> None:
    assert parse(EXAMPLE, source="f") == FaultPlan(
        seed=7,
        rules=(
            Rule(verbs=("list",), resources=("pods",), delay_seconds=0.1, jitter_seconds=2),
            Rule(verbs=("create",), error=Error(status=429, retry_after_seconds=1), times=3),
            Rule(users=("alice",), cut=Cut.ANSWER, probability=0.1),
            Rule(verbs=("watch",), watch=WatchFault(stall_after=10)),
        ),
        disk_full=True,
        clock_offset_seconds=-3600,
        forget_history=True,
    )
    assert parse("# nothing\n", source="f") == FaultPlan()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rule: []", "f:1: unknown field 'rule'; did you mean 'rules'?"),
        (
            "rules:\n- {verb: [list], cut: answer}",
            "f:2: unknown field 'verb' in rules[0]; did you mean 'verbs'?",
        ),
        ("rules:\n- verbs:\n  - lst\n  cut: answer", "f:3: 'lst' is no verb; did you mean 'list'?"),
        ("rules:\n- verbs: [list]", "f:2: this rule does nothing: give it delaySeconds, error, cut or watch"),
        (
            "rules:\n- watch: {lagSeconds: 0}",
            "f:2: this rule does nothing: give it delaySeconds, error, cut or watch",
        ),
        ("rules:\n- cut: answr", "f:2: rules[0].cut: 'answr' is not a known value; did you mean 'answer'?"),
        (
            "rules:\n- {cut: answer, error: {status: 500}}",
            "f:2: either 'error' or 'cut': an answer that is cut off is not read",
        ),
    ],
)
def test_what_cannot_be_meant_is_named(text: str, complaint: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, source="f")
    assert str(caught.value) == complaint


@pytest.mark.parametrize("text", ["probability: 2", "times: 0", "error: {status: 200}", "delaySeconds: -1"])
def test_bounds(text: str) -> None:
    with pytest.raises(DocumentError, match="is expected"):
        parse(f"rules:\n- {{cut: answer, {text}}}", source="f")


async def test_a_change_is_taken_up_and_a_mistake_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "LOOK_S", 0.001)
    path = tmp_path / "faults.yaml"
    path.write_text("diskFull: true")
    taken: asyncio.Queue[FaultPlan] = asyncio.Queue()
    said: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(file.follow(path, taken.put_nowait, said.put_nowait))
    async with asyncio.timeout(20):
        await asyncio.sleep(0)
        path.write_text("diskFul: false")
        assert "unknown field 'diskFul'" in await said.get()
        path.write_text("clockOffsetSeconds: 60")
        assert await said.get() == f"faults of {path} taken up"
    assert (taken.qsize(), taken.get_nowait()) == (1, FaultPlan(clock_offset_seconds=60))
    task.cancel()
