import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.clock import VirtualTimeLoop
from aliquot.emulator.storage.log import Compacted
from aliquot.emulator.storage.persistence import WriteRefused
from aliquot.emulator.storage.records import Event, EventType, Record
from aliquot.emulator.storage.store import AlreadyStored, Changed, Store


def obj(name: str, value: Any = None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "value": value}


def on_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def names(records: Any) -> list[str]:
    return [record.name for record in records]


async def test_a_record_carries_its_revision() -> None:
    store = Store()
    record = await store.create("pods", "a", "x", obj("x"))
    assert record.decode()["metadata"]["resourceVersion"] == str(record.revision) == str(store.revision)


async def test_a_taken_name_is_refused_even_before_its_commit() -> None:
    store = Store()
    first, second = await asyncio.gather(
        store.create("pods", "a", "x", obj("x")),
        store.create("pods", "a", "x", obj("x")),
        return_exceptions=True,
    )
    assert isinstance(first, Record)
    assert isinstance(second, AlreadyStored)


async def test_of_two_writers_of_one_revision_the_second_is_refused() -> None:
    store = Store()
    old = await store.create("pods", "a", "x", obj("x"))
    first, second, third = await asyncio.gather(
        store.replace(old, obj("x", 1)),
        store.replace(old, obj("x", 2)),
        store.delete(old),
        return_exceptions=True,
    )
    assert isinstance(first, Record)
    assert isinstance(second, Changed)
    assert isinstance(third, Changed)
    found = store.get("pods", "a", "x")
    assert found is not None
    assert found.decode()["value"] == 1


async def test_readers_see_only_what_is_committed() -> None:
    store = Store()
    write = asyncio.ensure_future(store.create("pods", "a", "x", obj("x")))
    await asyncio.sleep(0)
    assert store.get("pods", "a", "x") is None
    assert store.latest("pods", "a", "x") is not None
    assert store.list("pods").revision == 0
    await write
    assert store.get("pods", "a", "x") is not None


async def test_the_list_is_in_order_of_namespace_and_name() -> None:
    store = Store()
    for namespace, name in [("b", "1"), ("a", "2"), ("a", "1"), ("", "9")]:
        await store.create("pods", namespace, name, obj(name))
    assert [(found.namespace, found.name) for found in store.list("pods").records] == [
        ("", "9"),
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
    ]
    await store.create("pods", "a", "0", obj("0"))
    assert names(store.list("pods", "a").records) == ["0", "1", "2"]


async def test_pages_show_the_revision_of_the_first() -> None:
    store = Store()
    records = {name: await store.create("pods", "a", name, obj(name, "old")) for name in "abcdef"}
    first = store.list("pods", limit=2)
    await store.delete(records["d"])
    await store.replace(records["e"], obj("e", "new"))
    await store.create("pods", "a", "cc", obj("cc"))
    second = store.list("pods", at=first.revision, after=("a", "b"), limit=3)
    assert names(second.records) == ["c", "d", "e"]
    assert second.records[2].decode()["value"] == "old"
    assert (first.remaining, second.remaining) == (4, 1)


async def test_a_watcher_that_falls_behind_is_told() -> None:
    store = Store(history_events=8)
    watcher = store.watch("pods", 0)
    for number in range(20):
        await store.create("pods", "a", f"p{number}", obj("x"))
    with pytest.raises(Compacted):
        watcher.take()
    with pytest.raises(Compacted):
        store.watch("pods", 1)
    with pytest.raises(Compacted):
        store.list("pods", at=1)
    assert len(store.watch("pods", store.revision - 3).take()) == 3


async def test_the_logs_hold_no_more_bytes_than_they_may() -> None:
    store = Store(history_bytes=10_000)
    busy = await store.create("pods", "a", "busy", obj("busy", "x" * 1000))
    await store.create("nodes", "", "quiet", obj("quiet"))
    for _ in range(50):
        busy = await store.replace(busy, obj("busy", "x" * 1000))
    with pytest.raises(Compacted):
        store.watch("pods", 1)
    assert len(store.watch("nodes", 0).take()) == 1
    assert 5 <= len(store.watch("pods", store.revision - 5).take()) <= 10


async def test_a_waiting_watcher_wakes_for_its_own_resource() -> None:
    store = Store()
    watcher = store.watch("pods", 0)
    waiting = asyncio.ensure_future(watcher.wait())
    await store.create("nodes", "", "n", obj("n"))
    assert not waiting.done()
    await store.create("pods", "a", "x", obj("x"))
    await asyncio.sleep(0)
    assert waiting.done()
    assert [event.type for event in watcher.take()] == [EventType.ADDED]


async def test_the_end_of_a_resource_ends_its_watchers_alone() -> None:
    store = Store()
    pods, nodes = store.watch("pods", 0), store.watch("nodes", 0)
    store.end_watches("pods")
    await pods.wait()
    assert pods.ended
    assert not nodes.ended


async def test_what_is_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    kept = await store.create("pods", "a", "kept", obj("kept", {"ä": [1, 2.5, None, True]}))
    kept = await store.replace(kept, obj("kept", "again"))
    await store.delete(await store.create("pods", "a", "gone", obj("gone")))
    revision = store.revision
    store.close()

    again = Store(tmp_path / "store.db")
    assert again.revision == revision
    assert [found.body for found in again.list("pods").records] == [kept.body]
    assert again.get("pods", "a", "kept") is not None
    assert (await again.create("pods", "a", "gone", obj("gone"))).revision == revision + 1
    again.close()


async def test_what_happened_before_a_restart_cannot_be_watched(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    await store.create("pods", "a", "x", obj("x"))
    store.close()
    again = Store(tmp_path / "store.db")
    with pytest.raises(Compacted):
        again.watch("pods", 0)
    assert again.watch("pods", again.revision).take() == []
    again.close()


async def test_a_group_that_cannot_be_committed_fails_whole_and_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    kept = await store.create("pods", "a", "kept", obj("kept"))
    watcher = store.watch("pods", store.revision)
    assert store._file is not None
    store._file._connection.execute("PRAGMA max_page_count = 10")
    outcomes = await asyncio.gather(
        store.replace(kept, obj("kept", "new")),
        store.create("pods", "a", "big", obj("big", "x" * 100_000)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [WriteRefused, WriteRefused]
    assert "full" in str(outcomes[0])
    assert watcher.take() == []
    assert store.latest("pods", "a", "big") is None
    found = store.latest("pods", "a", "kept")
    assert found is kept

    store._file._connection.execute("PRAGMA max_page_count = 1000")
    again = await store.replace(kept, obj("kept", "new"))
    assert again.revision == kept.revision + 1
    store.close()


async def test_a_writer_that_goes_away_does_not_undo_its_write() -> None:
    store = Store()
    write = asyncio.ensure_future(store.create("pods", "a", "x", obj("x")))
    await asyncio.sleep(0)
    write.cancel()
    await asyncio.wait([write])
    await asyncio.sleep(0)
    assert store.get("pods", "a", "x") is not None


async def test_a_closed_store_takes_no_writes() -> None:
    store = Store()
    store.close()
    store.close()
    with pytest.raises(WriteRefused, match="closed"):
        await store.create("pods", "a", "x", obj("x"))


Step = tuple[str, str, int]
STEPS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["create", "replace", "delete"]), st.sampled_from("abcd"), st.integers(0, 1)
        ),
        min_size=1,
        max_size=4,
    ),
    max_size=12,
)


async def play(store: Store, groups: list[list[Step]]) -> None:
    """Each group is written at once; writes that make no sense are refused, which is fine."""
    for group in groups:
        writes: list[Awaitable[Record]] = []
        for action, name, space in group:
            namespace = f"ns{space}"
            latest = store.latest("pods", namespace, name)
            if action == "create":
                writes.append(store.create("pods", namespace, name, obj(name, "new")))
            elif latest is not None and action == "replace":
                writes.append(store.replace(latest, obj(name, store.revision)))
            elif latest is not None:
                writes.append(store.delete(latest))
        await asyncio.gather(*writes, return_exceptions=True)


def state(records: Any) -> dict[tuple[str, str], bytes]:
    return {(found.namespace, found.name): found.body for found in records}


def replay(start: dict[tuple[str, str], bytes], events: list[Event]) -> dict[tuple[str, str], bytes]:
    result = dict(start)
    for event in events:
        key = (event.record.namespace, event.record.name)
        if event.type is EventType.ADDED:
            assert key not in result
            assert event.previous is None
        else:
            assert event.previous is not None
            assert result[key] == event.previous.body
        if event.type is EventType.DELETED:
            del result[key]
        else:
            result[key] = event.record.body
    return result


@settings(deadline=None)
@given(STEPS)
def test_from_every_revision_the_list_and_the_events_since_make_the_present(groups: list[list[Step]]) -> None:
    async def main() -> None:
        store = Store()
        await play(store, groups)
        present = state(store.list("pods").records)
        for revision in range(store.revision + 1):
            events = list(store.watch("pods", revision).take(10_000))
            assert replay(state(store.list("pods", at=revision).records), events) == present
            revisions = [event.revision for event in events]
            assert revisions == list(range(revision + 1, store.revision + 1))

    on_virtual_time(main)


@settings(deadline=None)
@given(STEPS, st.integers(0, 12))
def test_what_has_a_value_is_what_a_list_has_of_it(groups: list[list[Step]], first_asked: int) -> None:
    def value(record: Record) -> str:
        found = record.decode()["value"]
        return "new" if found == "new" else "odd" if found % 2 else ""

    async def main() -> None:
        store = Store()
        for turn, group in enumerate(groups):
            await play(store, [group])
            if turn < first_asked:
                continue
            for wanted in ("new", "odd"):
                listed = [record for record in store.list("pods").records if value(record) == wanted]
                assert store.having("pods", value, wanted) == listed

    on_virtual_time(main)


async def test_by_value_each_object_is_read_once() -> None:
    read: list[str] = []

    def value(record: Record) -> str:
        read.append(record.name)
        return str(record.decode()["value"])

    store = Store()
    for number in range(10):
        await store.create("pods", "a", f"p{number}", obj(f"p{number}", f"n{number}"))
    assert read == []
    for number in range(10):
        assert names(store.having("pods", value, f"n{number}")) == [f"p{number}"]
    assert len(read) == 10
    moved = store.get("pods", "a", "p3")
    assert moved is not None
    await store.replace(moved, obj("p3", "n4"))
    assert names(store.having("pods", value, "n4")) == ["p3", "p4"]
    assert names(store.having("pods", value, "n3")) == []
    assert len(read) == 11


@settings(deadline=None)
@given(STEPS, st.integers(1, 5), st.integers(0, 30))
def test_a_past_list_is_what_a_list_was_then(groups: list[list[Step]], limit: int, at: int) -> None:
    async def main() -> None:
        store = Store()
        seen = {0: state([])}
        for group in groups:
            await play(store, [group])
            seen[store.revision] = state(store.list("pods").records)
        for revision, expected in seen.items():
            paged: list[Record] = []
            after = None
            while True:
                page = store.list("pods", at=revision, after=after, limit=limit)
                assert page.revision == revision
                paged += page.records
                if not page.remaining:
                    break
                after = (paged[-1].namespace, paged[-1].name)
            assert state(paged) == expected
            assert [(found.namespace, found.name) for found in paged] == sorted(expected)

    on_virtual_time(main)


@settings(deadline=None, max_examples=25)
@given(STEPS, st.integers(1, 3), st.integers(4, 10))
def test_slow_and_fast_watchers_see_every_event_once_or_are_told(
    groups: list[list[Step]], bite: int, history: int
) -> None:
    async def main() -> None:
        store = Store(history_events=history)
        fast, slow = store.watch("pods", 0), store.watch("pods", 0)
        taken: list[Event] = []
        slowly: list[Event] = []
        behind = False
        for group in groups:
            await play(store, [group])
            while found := fast.take(bite):
                taken += found
            if not behind:
                try:
                    slowly += slow.take(1)
                except Compacted:
                    behind = True
        assert [event.revision for event in taken] == list(range(1, store.revision + 1))
        assert slowly == taken[: len(slowly)]

    on_virtual_time(main)


@settings(deadline=None, max_examples=25)
@given(groups=STEPS)
def test_a_restart_finds_the_same_objects(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[Step]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "store.db"

    async def main() -> None:
        store = Store(path)
        await play(store, groups)
        before, revision = state(store.list("pods").records), store.revision
        store.close()
        again = Store(path)
        assert (state(again.list("pods").records), again.revision) == (before, revision)
        again.close()

    on_virtual_time(main)
