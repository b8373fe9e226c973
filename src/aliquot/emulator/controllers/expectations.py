"""What a controller has done and its cache does not show yet.

A controller that makes pods and looks for them in a cache that trails the server would make them twice. So it notes
the uids of what it made and deleted, and while any of them is still unseen it neither makes nor deletes more. A
note that nothing ever comes of (made and gone between two looks) lapses.
"""

import asyncio
from collections.abc import Callable

from aliquot.emulator.controllers.ownership import HasMetadata
from aliquot.kube.resources import key as key_of

LAPSE_S = 30.0


class Expectations:
    """Notes by controller key. `look(key)` finds an object of the watched kind in the cache by its own key."""

    def __init__(self, look: Callable[[str], HasMetadata | None]) -> None:
        self._look = look
        # Controller key -> uid -> loop time at which the note lapses.
        self._births: dict[str, dict[str, float]] = {}
        self._deaths: dict[str, dict[str, float]] = {}
        self._holder: dict[str, str] = {}

    def created(self, key: str, obj: HasMetadata) -> None:
        found = self._look(key_of(obj))
        if found is None or found.metadata.uid != obj.metadata.uid:
            self._note(self._births, key, obj.metadata.uid)

    def deleted(self, key: str, obj: HasMetadata) -> None:
        found = self._look(key_of(obj))
        same = found is not None and found.metadata.uid == obj.metadata.uid
        if same and found is not None and found.metadata.deletion_timestamp is None:
            self._note(self._deaths, key, obj.metadata.uid)

    def pending_s(self, key: str) -> float:
        """Seconds until everything noted has lapsed; 0 when all has been seen."""
        now = asyncio.get_running_loop().time()
        latest = now
        for notes in (self._births, self._deaths):
            held = notes.get(key)
            if not held:
                continue
            for uid in [uid for uid, lapse in held.items() if lapse <= now]:
                self._drop(notes, key, uid)
            latest = max([latest, *held.values()])
        return latest - now

    def forget(self, key: str) -> None:
        for notes in (self._births, self._deaths):
            for uid in list(notes.get(key, ())):
                self._drop(notes, key, uid)

    def observe(self, old: HasMetadata | None, new: HasMetadata | None) -> None:
        """For `Cache.subscribe`."""
        if new is not None:
            self._seen(self._births, new.metadata.uid)
        if new is None or new.metadata.deletion_timestamp is not None:
            gone = new if new is not None else old
            if gone is not None:
                self._seen(self._births, gone.metadata.uid)
                self._seen(self._deaths, gone.metadata.uid)

    def _note(self, notes: dict[str, dict[str, float]], key: str, uid: str) -> None:
        notes.setdefault(key, {})[uid] = asyncio.get_running_loop().time() + LAPSE_S
        self._holder[uid] = key

    def _seen(self, notes: dict[str, dict[str, float]], uid: str) -> None:
        key = self._holder.get(uid)
        if key is not None and uid in notes.get(key, ()):
            self._drop(notes, key, uid)

    def _drop(self, notes: dict[str, dict[str, float]], key: str, uid: str) -> None:
        notes[key].pop(uid, None)
        if not notes[key]:
            del notes[key]
        if uid not in self._births.get(key, ()) and uid not in self._deaths.get(key, ()):
            self._holder.pop(uid, None)
