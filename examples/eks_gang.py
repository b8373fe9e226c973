"""The training job of `eks_upgrade.py`: saves when it is asked to, as its program would, and is watched all the while."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

REQUESTED, SAVED = "aliquot.dev/checkpoint-requested", "aliquot.dev/last-checkpoint"
SUSPENDED_BY = "aliquot.dev/suspended-by"
_NAMESPACE, _JOB = "ml", "train"


@dataclass
class Stop:
    """A time in which the job was suspended."""

    began: datetime
    by: str
    """The run; empty: a person."""
    ended: datetime | None = None


@dataclass
class PodLife:
    rank: str
    requested: str = ""
    saved: str = ""
    deleted: datetime | None = None
    was_evicted: bool = False
    is_ready: bool = False


@dataclass
class Gang:
    """Within, `kubectl get --watch` follows the job and its pods."""

    kubectl: str
    env: dict[str, str]
    stops: list[Stop] = field(default_factory=list)
    pods: dict[str, PodLife] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _watching: list[subprocess.Popen[str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        for what, see in ((("job", _JOB), self._see_job), (("pods", "-l", f"app={_JOB}"), self._see_pod)):
            threading.Thread(target=self._follow, args=(what, see), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for process in self._watching:
            process.terminate()

    # ---- what has become of it -------------------------------------------------------------------------------

    @property
    def suspended_by_runs(self) -> int:
        return sum(bool(stop.by) for stop in self.stops)

    @property
    def saved_before_each(self) -> bool:
        """By whoever is asked: its first rank."""
        asked = [pod for pod in self.pods.values() if pod.rank == "0" and pod.requested]
        return len(asked) == self.suspended_by_runs and all(pod.saved >= pod.requested for pod in asked)

    @property
    def runs(self) -> bool:
        return sum(pod.is_ready for pod in self.pods.values()) == 2 and all(stop.ended for stop in self.stops)

    @property
    def was_never_cut(self) -> bool:
        return not any(pod.was_evicted for pod in self.pods.values()) and all(
            self._was_suspended(pod.deleted) for pod in self.pods.values() if pod.deleted is not None
        )

    def _was_suspended(self, at: datetime) -> bool:
        return any(stop.began <= at and (stop.ended is None or at <= stop.ended) for stop in self.stops)

    # ---- watching --------------------------------------------------------------------------------------------

    def _follow(self, what: tuple[str, ...], see: Any) -> None:
        """Anew whenever the API server ends it, as it does in each upgrade of it."""
        options = ("-n", _NAMESPACE, "--watch", "--output-watch-events", "-o", "json")
        while not self._over.is_set():
            process = subprocess.Popen(
                [self.kubectl, "get", *what, *options],
                env=self.env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._watching.append(process)
            assert process.stdout is not None
            for event in _objects(process.stdout.fileno()):
                see(event["type"], event["object"])
            process.wait()
            self._watching.remove(process)
            self._over.wait(0.3)

    def _see_job(self, _: str, job: dict[str, Any]) -> None:
        told = [one for one in job.get("status", {}).get("conditions", []) if one["type"] == "Suspended"]
        for one in told:
            at = _time(one["lastTransitionTime"])
            last = self.stops[-1] if self.stops else None
            if one["status"] == "True" and (last is None or last.ended is not None):
                self.stops.append(Stop(at, job["metadata"].get("annotations", {}).get(SUSPENDED_BY, "")))
            elif one["status"] == "False" and last is not None and last.ended is None:
                last.ended = at

    def _see_pod(self, kind: str, pod: dict[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        annotations = metadata.get("annotations", {})
        rank = annotations.get("batch.kubernetes.io/job-completion-index", "")
        life = self.pods.setdefault(metadata["uid"], PodLife(rank))
        # What asked for a checkpoint is taken away again with the suspension.
        life.requested = annotations.get(REQUESTED, life.requested)
        life.saved = annotations.get(SAVED, life.saved)
        conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
        life.was_evicted |= conditions.get("DisruptionTarget") == "True"
        life.is_ready = kind != "DELETED" and conditions.get("Ready") == "True"
        if "deletionTimestamp" in metadata and life.deleted is None:
            grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0))
            life.deleted = _time(metadata["deletionTimestamp"]) - grace
        if kind != "DELETED" and rank == "0" and life.saved < life.requested:
            self._save(metadata["name"])

    def _save(self, pod: str) -> None:
        """What its program does once it has written a checkpoint."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        command = [self.kubectl, "annotate", "pod", pod, "-n", _NAMESPACE, "--overwrite", f"{SAVED}={now}"]
        subprocess.run(command, check=False, env=self.env, capture_output=True)


def _objects(of: int) -> Iterator[dict[str, Any]]:
    """JSON objects, one after the other, as soon as each is whole."""
    decoder, text = json.JSONDecoder(), ""
    while data := os.read(of, 65536):
        text += data.decode()
        while text := text.lstrip():
            try:
                found, end = decoder.raw_decode(text)
            except ValueError:
                break
            yield found
            text = text[end:]


def _time(told: str) -> datetime:
    return datetime.fromisoformat(told)
