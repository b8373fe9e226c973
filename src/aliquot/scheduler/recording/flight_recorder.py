"""Keeps the last cycles in files, and the one that failed: what a report of a defect needs.

A cycle that fails leaves all as it was before it, so it is recorded after the fact, and costs nothing while all is well. To keep
those that go well costs a look at the whole cluster in each: that is for when it is asked for. Cycles in which nobody waited are
not kept.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import structlog
from msgspec.structs import replace

from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.recording.capturing import Nodes, captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording, encoded
from aliquot.scheduler.recording.verdict import failed, verdict

_log = structlog.get_logger()

SUFFIX = ".cycle"
_MOST_FAILED = 10


class FlightRecorder:
    """`last`: so many cycles are kept in `directory`; 0: only those that fail, of which the last ten are kept in any case."""

    def __init__(self, directory: Path, *, last: int = 0) -> None:
        self._directory = directory
        self._last = last
        self._count = 0
        self._nodes = Nodes()
        # What falls out would have been deleted next.
        self._unwritten: deque[tuple[Recording, Outcome]] = deque(maxlen=last)
        self._wake = asyncio.Event()
        self._complained = False

    def run(self, case: Case) -> Outcome:
        """As `case.run`."""
        recording = captured(case, self._nodes) if self._last and len(case.pending) else None
        try:
            outcome = case.run()
        except Exception as error:
            self._keep_failed(case, recording, error)
            raise
        if recording is not None:
            self._unwritten.append((recording, outcome))
            self._wake.set()
        return outcome

    async def write(self) -> None:
        """What was recorded, beside what else happens, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                writing = asyncio.create_task(asyncio.to_thread(self._write_all))
                try:
                    await asyncio.shield(writing)
                except asyncio.CancelledError:
                    await writing
                    raise
        finally:
            # The last ones are those that somebody wants to see.
            self._write_all()

    def _write_all(self) -> None:
        while self._unwritten:
            self._write_decided(*self._unwritten.popleft())

    def _write_decided(self, recording: Recording, outcome: Outcome) -> None:
        try:
            self._write(replace(recording, verdict=verdict(outcome)), "decided", self._last)
            self._complained = False
        except OSError as error:
            if not self._complained:
                _log.warning("cycles are not recorded", directory=str(self._directory), error=str(error))
            self._complained = True

    def _keep_failed(self, case: Case, recording: Recording | None, error: Exception) -> None:
        try:
            seen = recording or captured(case)
            path = self._write(replace(seen, verdict=failed(error)), "failed", _MOST_FAILED)
        except Exception as other:
            # What went wrong in the cycle is what matters.
            _log.warning("the cycle failed, and could not be recorded", error=str(error), because=str(other))
            return
        _log.error(
            "the cycle failed; `aliquot scheduler replay` repeats it", recording=str(path), error=str(error)
        )

    def _write(self, recording: Recording, kind: str, most: int) -> Path:
        self._count += 1
        moment = datetime.fromtimestamp(recording.now_s, UTC).strftime("%Y%m%dT%H%M%S")
        path = self._directory / f"{kind}-{moment}-{self._count:06}{SUFFIX}"
        self._directory.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(encoded(recording))
        unfinished.replace(path)
        for old in sorted(self._directory.glob(f"{kind}-*{SUFFIX}"))[:-most]:
            old.unlink(missing_ok=True)
        return path
