"""The objects of one resource, by namespace and in the order of their names, with the log of their changes."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable

from aliquot.emulator.storage.log import Log
from aliquot.emulator.storage.records import Event, EventType, Record


class _Bucket:
    """The objects of one namespace. The order of names is kept only once somebody has listed them."""

    __slots__ = ("_names", "records")

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._names: list[str] | None = None

    @property
    def names(self) -> list[str]:
        if self._names is None:
            self._names = sorted(self.records)
        return self._names

    def put(self, record: Record) -> None:
        if self._names is not None and record.name not in self.records:
            insort(self._names, record.name)
        self.records[record.name] = record

    def drop(self, name: str) -> None:
        if self._names is not None:
            del self._names[bisect_left(self._names, name)]
        del self.records[name]


class _Index:
    """Records by the value of one field; those that have none are not in it."""

    __slots__ = ("_by_value", "_read", "_values")

    def __init__(self, read: Callable[[Record], str], records: Iterable[Record]) -> None:
        self._read = read
        self._by_value: dict[str, dict[tuple[str, str], Record]] = {}
        self._values: dict[tuple[str, str], str] = {}
        for record in records:
            self.put(record)

    def of(self, value: str) -> list[Record]:
        found = self._by_value.get(value, {})
        return [found[key] for key in sorted(found)]

    def put(self, record: Record) -> None:
        key, value = (record.namespace, record.name), self._read(record)
        if self._values.get(key, "") != value:
            self.drop(record)
        if value:
            self._values[key] = value
            self._by_value.setdefault(value, {})[key] = record

    def drop(self, record: Record) -> None:
        key = record.namespace, record.name
        value = self._values.pop(key, "")
        if value:
            del self._by_value[value][key]
            if not self._by_value[value]:
                del self._by_value[value]


class ResourceObjects:
    __slots__ = ("_indexes", "buckets", "log")

    def __init__(self, floor: int) -> None:
        self.buckets: dict[str, _Bucket] = {}
        self.log = Log(floor)
        self._indexes: dict[Callable[[Record], str], _Index] = {}
        """By the function that reads the field; each is kept only once somebody has asked by it."""

    def get(self, namespace: str, name: str) -> Record | None:
        bucket = self.buckets.get(namespace)
        return bucket.records.get(name) if bucket is not None else None

    def put(self, record: Record) -> None:
        bucket = self.buckets.get(record.namespace)
        if bucket is None:
            bucket = self.buckets[record.namespace] = _Bucket()
        bucket.put(record)
        for index in self._indexes.values():
            index.put(record)

    def apply(self, event: Event) -> None:
        if event.type is EventType.DELETED:
            bucket = self.buckets[event.record.namespace]
            bucket.drop(event.record.name)
            for index in self._indexes.values():
                index.drop(event.record)
            if not bucket.records:
                del self.buckets[event.record.namespace]
        else:
            self.put(event.record)
        self.log.append(event)

    def having(self, read: Callable[[Record], str], value: str) -> list[Record]:
        """The records of which `read`, always the same function for a field, gives `value`, which is not empty."""
        index = self._indexes.get(read)
        if index is None:
            there = (one for bucket in self.buckets.values() for one in bucket.records.values())
            index = self._indexes[read] = _Index(read, there)
        return index.of(value)

    def page(
        self, namespace: str | None, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Record], int]:
        """Up to `limit` (0: all) records behind the key `after`, and how many come behind those."""
        spaces = sorted(self.buckets) if namespace is None else [namespace]
        records: list[Record] = []
        remaining = 0
        for space in spaces:
            bucket = self.buckets.get(space)
            if bucket is None or (after is not None and space < after[0]):
                continue
            names = bucket.names
            start = bisect_right(names, after[1]) if after is not None and space == after[0] else 0
            end = len(names) if not limit else min(len(names), start + limit - len(records))
            records += [bucket.records[name] for name in names[start:end]]
            remaining += len(names) - end
        return records, remaining
