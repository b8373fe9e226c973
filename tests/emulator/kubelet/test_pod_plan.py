"""What kubelet does next for a pod: one row, one rule."""

from collections.abc import Mapping, Sequence

import pytest

from aliquot.emulator.kubelet.pod_plan import (
    Backoff,
    Phase,
    Plan,
    Refusal,
    Situation,
    Waiting,
    go_duration,
    initialized,
    next_backoff,
    plan,
)
from aliquot.emulator.kubelet.probes import Health, ProbeKind
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord
from tests.emulator.kubelet.conftest import BOOT, pod, run

NOW = 1000.0

ONE = "containers: [{name: main}]"
TWO = "containers: [{name: main}, {name: other}]"
INIT = "initContainers: [{name: i1}, {name: i2}], containers: [{name: main}]"
SIDECAR = "initContainers: [{name: side, restartPolicy: Always}, {name: i1}], containers: [{name: main}]"


def situation(
    spec: str,
    *runs: ContainerRecord,
    backoffs: Mapping[str, Backoff] | None = None,
    refusals: Mapping[str, Refusal] | None = None,
    kill_at: float | None = None,
    health: Mapping[str, Health] | None = None,
    volumes_ready: bool = True,
) -> Situation:
    by_name: dict[str, list[ContainerRecord]] = {}
    for record in runs:
        by_name.setdefault(record.name, []).append(record)
    return Situation(
        spec=pod(spec).spec,
        label="p_ns(uid-p)",
        runs=by_name,
        boot_id=BOOT,
        now=NOW,
        backoffs=backoffs or {},
        refusals=refusals or {},
        kill_at=kill_at,
        health=health or {},
        volumes_ready=volumes_ready,
    )


def planned(spec: str, *runs: ContainerRecord, kill_at: float | None = None) -> Plan:
    return plan(situation(spec, *runs, kill_at=kill_at))


@pytest.mark.parametrize(
    ("spec", "runs", "start"),
    [
        (ONE, (), ["main"]),
        (TWO, (), ["main", "other"]),
        (TWO, (run("main"),), ["other"]),
        (ONE, (run(),), []),
        (ONE, (run(code=0),), ["main"]),
        (ONE, (run(code=1),), ["main"]),
        (f"{ONE}, restartPolicy: OnFailure", (run(code=1),), ["main"]),
        (f"{ONE}, restartPolicy: OnFailure", (run(code=0),), []),
        (f"{ONE}, restartPolicy: Never", (run(code=1),), []),
        (INIT, (), ["i1"]),
        (INIT, (run("i1"),), []),
        (INIT, (run("i1", code=0),), ["i2"]),
        (INIT, (run("i1", code=1),), ["i1"]),
        (INIT, (run("i1", code=0), run("i2", code=0)), ["main"]),
        (INIT, (run("i1", code=0), run("i2", code=0), run(code=1)), ["main"]),
        (f"{INIT}, restartPolicy: Never", (run("i1", code=1),), []),
        (SIDECAR, (), ["side"]),
        (SIDECAR, (run("side"),), ["i1"]),
        (SIDECAR, (run("side"), run("i1", code=0)), ["main"]),
        (SIDECAR, (run("side", code=1), run("i1")), ["side"]),
        (SIDECAR, (run("side", code=0), run("i1", code=0), run()), ["side"]),
    ],
    ids=[
        "a new pod",
        "all containers at once",
        "those that do not run yet",
        "a running container stays",
        "Always restarts after success",
        "Always restarts after failure",
        "OnFailure restarts after failure",
        "OnFailure leaves success alone",
        "Never leaves failure alone",
        "init containers come first",
        "and are waited for",
        "one after the other",
        "a failed one again",
        "then the containers",
        "and are not run again with them",
        "never again with Never",
        "a sidecar is an init container",
        "that lets the next one start while it runs",
        "and stays beside the containers",
        "a sidecar that ends during initialisation is restarted first",
        "a sidecar is restarted whatever it ended with",
    ],
)
def test_what_is_started(spec: str, runs: Sequence[ContainerRecord], start: list[str]) -> None:
    assert list(planned(spec, *runs).start) == start


@pytest.mark.parametrize(
    ("spec", "runs", "ended"),
    [
        (f"{ONE}, restartPolicy: Never", (run(code=0),), Phase.SUCCEEDED),
        (f"{ONE}, restartPolicy: Never", (run(code=3),), Phase.FAILED),
        (f"{TWO}, restartPolicy: Never", (run(code=0),), None),
        (f"{TWO}, restartPolicy: Never", (run(code=0), run("other", code=1)), Phase.FAILED),
        (f"{TWO}, restartPolicy: OnFailure", (run(code=0), run("other", code=0)), Phase.SUCCEEDED),
        (f"{ONE}, restartPolicy: OnFailure", (run(code=1),), None),
        (ONE, (run(code=0),), None),
        (f"{INIT}, restartPolicy: Never", (run("i1", code=1),), Phase.FAILED),
        (f"{INIT}, restartPolicy: OnFailure", (run("i1", code=1),), None),
    ],
)
def test_when_a_pod_has_ended(spec: str, runs: Sequence[ContainerRecord], ended: Phase | None) -> None:
    assert planned(spec, *runs).ended is ended


def test_sidecars_are_stopped_when_the_containers_have_ended() -> None:
    spec = f"{SIDECAR}, restartPolicy: Never, terminationGracePeriodSeconds: 7"
    decided = planned(spec, run("side"), run("i1", code=0), run(code=0))
    assert [(stop.container_id, stop.grace_s) for stop in decided.stop] == [("side-0", 7.0)]
    assert decided.ended is None


@pytest.mark.parametrize(
    ("runs", "stopped", "ended"),
    [
        ((run("a"), run("b"), run(), run("other")), ["main-0", "other-0"], None),
        ((run("a"), run("b"), run(code=143), run("other")), ["other-0"], None),
        ((run("a"), run("b"), run(code=143), run("other", code=0)), ["b-0"], None),
        ((run("a"), run("b", code=143), run(code=143), run("other", code=0)), ["a-0"], None),
        ((run("a", code=143), run("b", code=143), run(code=143), run("other", code=0)), [], Phase.FAILED),
        ((run("a", code=143), run("b", code=143), run(code=0), run("other", code=0)), [], Phase.SUCCEEDED),
        ((run("a"),), ["a-0"], None),
        ((), [], Phase.FAILED),
    ],
    ids=[
        "containers first, together",
        "until the last has ended",
        "then the last sidecar",
        "then the one before",
        "a killed container is a failure",
        "sidecars do not count",
        "also while initialising",
        "what never ran has failed",
    ],
)
def test_how_a_pod_is_ended(runs: Sequence[ContainerRecord], stopped: list[str], ended: Phase | None) -> None:
    spec = (
        "initContainers: [{name: a, restartPolicy: Always}, {name: b, restartPolicy: Always}], "
        "containers: [{name: main}, {name: other}]"
    )
    decided = planned(spec, *runs, kill_at=NOW + 30)
    assert ([stop.container_id for stop in decided.stop], decided.ended, decided.start) == (
        stopped,
        ended,
        (),
    )


@pytest.mark.parametrize(
    ("kill_at", "grace_s"), [(NOW + 30, 30.0), (NOW + 4.5, 4.5), (NOW, 1.0), (NOW - 60, 1.0)]
)
def test_the_grace_period_is_what_is_left_of_it(kill_at: float, grace_s: float) -> None:
    assert planned(ONE, run(), kill_at=kill_at).stop[0].grace_s == grace_s


def test_a_restart_waits_out_its_backoff() -> None:
    ended = run(code=1, start=NOW - 6, end=NOW - 4)
    decided = plan(situation(ONE, ended, backoffs={"main": Backoff(10.0, NOW - 6)}))
    text = "back-off 10s restarting failed container=main pod=p_ns(uid-p)"
    assert decided.start == ()
    assert decided.waiting == {"main": Waiting("CrashLoopBackOff", text, NOW + 6)}
    assert decided.again_s(NOW) == 6.0


@pytest.mark.parametrize(
    ("backoff", "started"),
    [
        (None, True),
        (Backoff(10.0, NOW - 20), True),
        (Backoff(300.0, NOW - 20), False),
        (Backoff(300.0, NOW - 700), True),
    ],
    ids=["no backoff yet", "waited out", "not yet", "it ran for long: forgiven"],
)
def test_when_a_restart_may_be(backoff: Backoff | None, started: bool) -> None:
    ended = run(code=1, start=NOW - 30, end=NOW - 15)
    decided = plan(situation(ONE, ended, backoffs={"main": backoff} if backoff else {}))
    assert bool(decided.start) is started


def test_backoff_doubles_up_to_five_minutes() -> None:
    backoff: Backoff | None = None
    delays, now = [], 0.0
    for _ in range(8):
        backoff = next_backoff(backoff, run(code=1, end=now), now)
        delays.append(backoff.delay_s)
        now += backoff.delay_s
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]


def test_backoff_begins_anew_after_a_long_run() -> None:
    assert next_backoff(Backoff(160.0, 0.0), run(code=1, end=601.0), 601.0) == Backoff(10.0, 601.0)


def test_a_container_that_could_not_be_made_is_tried_again_later() -> None:
    refusal = Refusal("CreateContainerConfigError", 'secret "s" not found', NOW - 4)
    decided = plan(situation(ONE, refusals={"main": refusal}))
    assert decided.start == ()
    assert decided.waiting["main"] == Waiting(refusal.reason, refusal.message, NOW + 6)
    later = plan(situation(ONE, refusals={"main": Refusal(refusal.reason, refusal.message, NOW - 10)}))
    assert later.start == ("main",)


@pytest.mark.parametrize(("spec", "reason"), [(ONE, "ContainerCreating"), (INIT, "PodInitializing")])
def test_why_a_container_waits_that_never_ran(spec: str, reason: str) -> None:
    assert planned(spec).waiting["main"] == Waiting(reason)


BEFORE = "boot-0"


@pytest.mark.parametrize(
    ("spec", "runs", "start", "ended"),
    [
        (ONE, (run(code=255, boot=BEFORE),), ["main"], None),
        (f"{ONE}, restartPolicy: OnFailure", (run(code=255, boot=BEFORE),), ["main"], None),
        (f"{ONE}, restartPolicy: Never", (run(code=255, boot=BEFORE),), [], Phase.FAILED),
        (f"{ONE}, restartPolicy: OnFailure", (run(code=0, boot=BEFORE),), [], Phase.SUCCEEDED),
        (
            INIT,
            (run("i1", code=0, boot=BEFORE), run("i2", code=0, boot=BEFORE), run(code=255, boot=BEFORE)),
            ["i1"],
            None,
        ),
        (
            INIT,
            (run("i1", code=0, boot=BEFORE), run("i2", code=0, boot=BEFORE), run("i1", code=0, attempt=1)),
            ["i2"],
            None,
        ),
        (SIDECAR, (run("side", code=255, boot=BEFORE), run("i1", code=0, boot=BEFORE)), ["side"], None),
    ],
    ids=[
        "Always: again",
        "OnFailure: again",
        "Never: failed",
        "OnFailure: what succeeded stays",
        "init containers pass again",
        "each of them",
        "sidecars too",
    ],
)
def test_after_a_reboot(
    spec: str, runs: Sequence[ContainerRecord], start: list[str], ended: Phase | None
) -> None:
    decided = planned(spec, *runs)
    assert (list(decided.start), decided.ended) == (start, ended)


@pytest.mark.parametrize(
    ("runs", "through"),
    [
        ((), False),
        ((run("i1", code=0),), False),
        ((run("i1", code=0), run("i2")), False),
        ((run("i1", code=0), run("i2", code=1)), False),
        ((run("i1", code=0), run("i2", code=0)), True),
        ((run("main"),), True),
    ],
)
def test_initialized(runs: Sequence[ContainerRecord], through: bool) -> None:
    assert initialized(situation(INIT, *runs)) is through


@pytest.mark.parametrize(
    ("seconds", "text"), [(10, "10s"), (60, "1m0s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s")]
)
def test_durations_are_printed_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


# What probes say.

SICK = Health(failed=ProbeKind.LIVENESS, ready=False)
STARTING = Health(started=False, ready=False)


@pytest.mark.parametrize(
    ("spec", "health", "grace_s", "why"),
    [
        (ONE, SICK, 30.0, "Container main failed liveness probe, will be restarted"),
        (f"{ONE}, terminationGracePeriodSeconds: 5", SICK, 5.0, "Container main failed liveness probe, will"),
        (
            ONE,
            Health(failed=ProbeKind.STARTUP, grace_s=7.0),
            7.0,
            "Container main failed startup probe, will",
        ),
        (f"{ONE}, restartPolicy: Never", SICK, 30.0, "Container main failed liveness probe"),
    ],
)
def test_a_container_that_a_probe_wants_ended(spec: str, health: Health, grace_s: float, why: str) -> None:
    (stop,) = plan(situation(spec, run(), health={"main-0": health})).stop
    assert (stop.container_id, stop.grace_s) == ("main-0", grace_s)
    assert stop.why.startswith(why)
    assert stop.why.endswith("will be restarted") == ("Never" not in spec)


@pytest.mark.parametrize(("health", "start"), [({}, ()), ({"main-0": SICK}, ("main",))])
def test_what_a_probe_ended_has_failed_whatever_it_says(
    health: dict[str, Health], start: tuple[str, ...]
) -> None:
    made = plan(situation(f"{ONE}, restartPolicy: OnFailure", run(code=0), health=health))
    assert made.start == start


def test_a_sidecar_that_is_starting_up_holds_the_others_back() -> None:
    assert plan(situation(SIDECAR, run("side"), health={"side-0": STARTING})).start == ()
    assert plan(situation(SIDECAR, run("side"))).start == ("i1",)


def test_nothing_starts_without_its_volumes() -> None:
    made = plan(situation(INIT, volumes_ready=False))
    assert made.start == ()
    assert {waiting.reason for waiting in made.waiting.values()} == {"PodInitializing"}
    assert plan(situation(ONE, volumes_ready=False, kill_at=NOW)).ended is Phase.FAILED


@pytest.mark.parametrize(
    ("spec", "runs", "start"),
    [
        (ONE, [], ("debug", "main")),
        (ONE, [run("main")], ("debug",)),
        # It may be there to see why a pod does not come up.
        (INIT, [], ("debug", "i1")),
        (ONE, [run("main"), run("debug")], ()),
        # It is never restarted, and nothing waits for it.
        (ONE, [run("main"), run("debug", code=1)], ()),
    ],
)  # fmt: skip
def test_ephemeral_containers_are_started_once(
    spec: str, runs: list[ContainerRecord], start: tuple[str, ...]
) -> None:
    found = planned(f"{spec}, ephemeralContainers: [{{name: debug}}]", *runs)
    assert (found.start, found.ended) == (start, None)


def test_an_ephemeral_container_keeps_no_pod_from_ending() -> None:
    spec = f"{ONE}, restartPolicy: Never, ephemeralContainers: [{{name: debug}}]"
    ending = planned(spec, run("main", code=0), run("debug"))
    assert [stop.container for stop in ending.stop] == ["debug"]
    assert planned(spec, run("main", code=0), run("debug", code=1)).ended is Phase.SUCCEEDED
