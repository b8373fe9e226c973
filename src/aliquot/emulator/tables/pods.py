"""A pod's row: the one word that kubectl shows for its state, and its restarts.

The word is the pod's phase, overruled in turn by status.reason (Evicted, UnexpectedAdmissionError), a scheduling
gate, the first init container that is not done, the containers from last to first, and deletion.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.tables.durations import since

Object = Mapping[str, Any]
_NONE = "<none>"


def cells(pod: Object, now: float) -> list[Any]:
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    state = _State(pod)
    restarts = str(state.restarts)
    if state.restarts and state.last_restart:
        restarts = f"{state.restarts} ({since(state.last_restart, now)} ago)"
    ips = status.get("podIPs") or ()
    return [
        metadata["name"],
        f"{state.ready}/{state.total}",
        state.word,
        restarts,
        since(metadata.get("creationTimestamp"), now),
        (ips[0].get("ip") if ips else status.get("podIP")) or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _readiness_gates(spec, status),
    ]


def conditions(pod: Object) -> list[dict[str, str]] | None:
    phase = (pod.get("status") or {}).get("phase")
    if phase not in ("Succeeded", "Failed"):
        return None
    message = "The pod has completed successfully." if phase == "Succeeded" else "The pod failed."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


class _State:
    def __init__(self, pod: Object) -> None:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        phase = status.get("phase", "")
        self.word: str = status.get("reason") or phase
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""
        pod_conditions = status.get("conditions") or ()
        for condition in pod_conditions:
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
                self.word = "SchedulingGated"
        sidecars = {
            container["name"]
            for container in spec.get("initContainers") or ()
            if container.get("restartPolicy") == "Always"
        }
        self.total = len(spec.get("containers") or ()) + len(sidecars)
        init_statuses = status.get("initContainerStatuses") or ()
        initializing = self._init(init_statuses, sidecars, len(spec.get("initContainers") or ()))
        if not initializing or _condition(pod_conditions, "Initialized"):
            self._forget_restarts()
            self._count([one for one in init_statuses if one.get("name") in sidecars])
            self._containers(status.get("containerStatuses") or (), pod_conditions)
        if pod["metadata"].get("deletionTimestamp"):
            if status.get("reason") == "NodeLost":
                self.word = "Unknown"
            elif phase not in ("Succeeded", "Failed"):
                self.word = "Terminating"

    def _init(self, statuses: Sequence[Object], sidecars: set[str], total: int) -> bool:
        for index, container in enumerate(statuses):
            self._count([container])
            state = container.get("state") or {}
            ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
            if ended is not None and ended.get("exitCode", 0) == 0:
                continue
            if container.get("name") in sidecars and container.get("started"):
                self.ready += bool(container.get("ready"))
                continue
            if ended is not None:
                self.word = f"Init:{_ending(ended)}"
            elif waiting and waiting != "PodInitializing":
                self.word = f"Init:{waiting}"
            else:
                self.word = f"Init:{index}/{total}"
            return True
        return False

    def _containers(self, statuses: Sequence[Object], pod_conditions: Sequence[Object]) -> None:
        running = False
        self._count(statuses)
        for container in reversed(statuses):
            state = container.get("state") or {}
            waiting = (state.get("waiting") or {}).get("reason")
            if waiting:
                self.word = waiting
            elif state.get("terminated") is not None:
                self.word = _ending(state["terminated"])
            elif container.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.word == "Completed" and running:
            self.word = "Running" if _condition(pod_conditions, "Ready") else "NotReady"

    def _forget_restarts(self) -> None:
        self.restarts, self.last_restart = 0, ""

    def _count(self, statuses: Sequence[Object]) -> None:
        for container in statuses:
            self.restarts += container.get("restartCount", 0)
            ended = (container.get("lastState") or {}).get("terminated") or {}
            self.last_restart = max(self.last_restart, ended.get("finishedAt") or "")


def _ending(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _condition(conditions: Sequence[Object], kind: str) -> bool:
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return _NONE
    met = sum(_condition(status.get("conditions") or (), gate.get("conditionType", "")) for gate in gates)
    return f"{met}/{len(gates)}"
