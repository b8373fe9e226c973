"""Devices that are being made: to all others as good as there, and taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.api.gpunode import Sharing
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.facts import NodeFacts, device_id
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reservations import exists, ready, with_reserved
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import GPU, mig, node, pod, ways

H100 = "h100-80gb"
CLASSES = {"small": ways("1g.10gb"), "half": ways("1/2 mps"), "big": ways("whole")}


def cut(*layouts: str) -> NodeFacts:
    return node("a", *layouts, cut=H100, classes=CLASSES)


def choice(text: str) -> DeviceChoice:
    """`2g.20gb@0`, `1g.10gb@0:small`, `whole:big`, `whole:half*1/2,mps`; all of the first GPU."""
    text, _, shares = text.partition("*")
    text, _, class_name = text.partition(":")
    profile, _, start = text.partition("@")
    count, _, form = shares.partition("/")
    replicas, _, sharing = form.partition(",")
    whole = profile == "whole"
    return DeviceChoice(
        "main",
        CLASS_PREFIX + class_name if class_name else GPU if whole else mig(profile),
        "a-gpu0",
        "" if whole else profile,
        None if whole else int(start),
        int(count or 0),
        Sharing(sharing) if sharing else Sharing.NONE,
        int(replicas or 0),
    )


def reserving(name: str, *choices: str, reserved: bool = True) -> PlacedPod:
    devices = tuple(map(choice, choices))
    return PlacedPod(
        f"default/{name}",
        name,
        "a",
        {d.resource: 1 for d in devices},
        devices,
        assumed=True,
        reserved=reserved,
    )


def told(facts: NodeFacts) -> list[str]:
    found = []
    for device in facts.devices.all:
        what = "whole" if device.start is None else f"{device.profile}@{device.start}"
        if device.resource.startswith(CLASS_PREFIX):
            what += ":" + device.resource.removeprefix(CLASS_PREFIX)
        what += f"*{device.shares},{device.sharing}" if device.shares else ""
        found.append(f"{what} {device.withheld}" if device.withheld else what)
    return found


@pytest.mark.parametrize(
    ("rule", "layout", "pods", "then"),
    [
        ("nothing reserved", "1g.10gb@0", [], ["1g.10gb@0"]),
        ("it is there", "1g.10gb@0", ["1g.10gb@0"], ["1g.10gb@0"]),
        ("a slice beside others", "1g.10gb@0", ["2g.20gb@2"], ["1g.10gb@0", "2g.20gb@2 being made"]),
        (
            "what is free in its place is nobody's",
            "1g.10gb@0 1g.10gb@1",
            ["2g.20gb@0"],
            ["2g.20gb@0 being made"],
        ),
        ("a name", "1g.10gb@0", ["1g.10gb@0:small"], ["1g.10gb@0:small being made"]),
        ("a GPU is cut", "whole", ["1g.10gb@6"], ["1g.10gb@6 being made"]),
        ("or no more", "1g.10gb@6", ["whole:big"], ["whole:big being made"]),
        ("shares", "whole", ["whole:half*1/2,mps"], ["whole:half*2,mps being made"]),
        (
            "shares for two",
            "whole",
            ["whole:half*1/2,mps", "whole:half*1/2,mps"],
            ["whole:half*2,mps being made"],
        ),
        ("what is made for one stays", "whole", ["4g.40gb@0", "2g.20gb@2"], ["4g.40gb@0 being made"]),
        ("a slice that the board has not", "whole", ["9g.90gb@0"], ["whole"]),
    ],
)
def test_what_others_see(rule: str, layout: str, pods: Sequence[str], then: Sequence[str]) -> None:
    all_of_them = [reserving(f"p{number}", text) for number, text in enumerate(pods)]
    assert told(with_reserved(cut(layout), all_of_them)) == then, rule


def test_a_bound_pod_reserves_nothing() -> None:
    facts = cut("whole")
    assert with_reserved(facts, [reserving("p", "1g.10gb@6", reserved=False)]) is facts


def test_what_somebody_has_does_not_go() -> None:
    facts = cut("1g.10gb@0=default/x 1g.10gb@1")
    seen = with_reserved(facts, [reserving("p", "2g.20gb@0")])
    assert "default/x" in seen.devices.by_holder


def test_nothing_is_made_of_a_gpu_that_is_nobodys_to_cut() -> None:
    facts = node("a", "whole")
    assert with_reserved(facts, [reserving("p", "1g.10gb@6")]) is facts


@pytest.mark.parametrize(
    ("layout", "text", "there"),
    [
        ("1g.10gb@6", "1g.10gb@6", True),
        ("1g.10gb@6:small", "1g.10gb@6", False),
        ("1g.10gb@6", "1g.10gb@6:small", False),
        ("1g.20gb@6", "1g.10gb@6", False),
        ("whole:half*2,mps", "whole:half*1/2,mps", True),
        ("whole:half*4,mps", "whole:half*1/2,mps", False),
        ("whole:half*2,timeSlicing", "whole:half*1/2,mps", False),
        ("whole:half*4,mps", "whole:half*1", True),
        ("whole:half", "whole:half*1", False),
        ("whole:big*2,mps", "whole:big", False),
        ("1g.10gb@6", "whole", False),
    ],
)
def test_whether_it_is_there_as_it_was_chosen(layout: str, text: str, there: bool) -> None:
    assert exists(choice(text), cut(layout).devices) is there


@pytest.mark.parametrize("flaw", ["unadvertised", "recut", "unhealthy"])
def test_ready_is_what_kubelet_would_give_now(flaw: str) -> None:
    chosen = [choice("1g.10gb@0"), choice("1g.10gb@1")]
    assert ready(chosen, cut("1g.10gb@0 1g.10gb@1").devices)
    assert not ready(chosen, cut(f"1g.10gb@0 1g.10gb@1!{flaw}").devices)


def test_what_was_decided_on_before_its_class_was_changed_is_ready_all_the_same() -> None:
    assert ready([choice("1g.10gb@0:small")], cut("1g.10gb@0:small!outdated").devices)


# --- a node of which devices are made, whatever comes in whatever order ---

WANTED = (
    GPU,
    mig("1g.10gb"),
    mig("2g.20gb"),
    mig("3g.40gb"),
    mig("7g.80gb"),
    *(CLASS_PREFIX + c for c in CLASSES),
)


@dataclass
class Truth:
    """One device that is there, and who has it."""

    choice: DeviceChoice
    holders: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        chosen = self.choice
        text = "whole" if chosen.start is None else f"{chosen.profile}@{chosen.start}"
        if chosen.resource.startswith(CLASS_PREFIX):
            text += ":" + chosen.resource.removeprefix(CLASS_PREFIX)
        text += f"*{chosen.replicas},{chosen.sharing}" if chosen.replicas else ""
        return text + ("=" + "+".join(self.holders) if self.holders else "")


class Machine:
    """A node with two GPUs, its kubelet, its agent and its partitioner, in a few lines."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.there = [
            Truth(DeviceChoice("", GPU, "a-gpu0")),
            *(Truth(structs.replace(choice(f"1g.10gb@{start}"), gpu="a-gpu1")) for start in (0, 3, 6)),
        ]
        self.pods: dict[str, PlacedPod] = {}
        policies = Policies()
        self.snapshot, self.pending = Snapshot(), Pending(policies.order)
        self.rankings = Rankings(policies)
        self.count = 0
        self.report()

    def report(self) -> None:
        layouts = [
            " ".join(str(one) for one in self.there if one.choice.gpu == f"a-gpu{index}") or "empty"
            for index in range(2)
        ]
        facts = node("a", *("" if text == "empty" else text for text in layouts), cut=H100, classes=CLASSES)
        self.snapshot.set_facts(facts)

    def step(self) -> None:
        match self.draw(st.sampled_from(("come", "come", "make", "bind", "admit", "end"))):
            case "come":
                self.count += 1
                self.pending.put(pod(f"p{self.count}", wants={self.draw(st.sampled_from(WANTED)): 1}))
                for bind in cycle.run(self.snapshot, self.pending, self.rankings).binds:
                    self.pods[bind.pod.key] = bind.placed
            case "make":
                for one in self.of(reserved=True):
                    self.make(one)
                self.report()
            case "bind":
                listed = self.snapshot.nodes["a"].reported.devices
                for one in self.of(reserved=True):
                    if ready(one.devices, listed):
                        self.set(structs.replace(one, reserved=False, assumed=False))
            case "admit":
                if waiting := [one for one in self.of(reserved=False) if not one.admitted]:
                    self.admit(self.draw(st.sampled_from(waiting)))
            case "end" if self.pods:
                key = self.draw(st.sampled_from(sorted(self.pods)))
                del self.pods[key]
                self.snapshot.remove_pod(key)
                for device in self.there:
                    device.holders = [holder for holder in device.holders if holder != key]
                self.report()

    def of(self, *, reserved: bool) -> list[PlacedPod]:
        return [one for _, one in sorted(self.pods.items()) if one.reserved is reserved]

    def set(self, one: PlacedPod) -> None:
        self.pods[one.key] = one
        self.snapshot.set_pod(one)

    def make(self, one: PlacedPod) -> None:
        (chosen,) = one.devices
        if any(device.choice == structs.replace(chosen, container="", shares=0) for device in self.there):
            return
        size = {"1g": 1, "2g": 2, "3g": 4, "7g": 8, "": 8}[chosen.profile[:2]]
        for device in list(self.there):
            if device.choice.gpu == chosen.gpu and overlap(device.choice, chosen, size):
                promised = [p.key for p in self.pods.values() if p is not one and has(p, device.choice)]
                assert not device.holders and not promised, (
                    f"{device} is taken away for {one.key}: {promised}"
                )
                self.there.remove(device)
        self.there.append(Truth(structs.replace(chosen, container="", shares=0)))
        self.there.sort(
            key=lambda device: (device.choice.gpu, -1 if device.choice.start is None else device.choice.start)
        )

    def admit(self, one: PlacedPod) -> None:
        """Kubelet gives it any device of the resource that nobody has and that stays."""
        (resource,) = {chosen.resource for chosen in one.devices}
        stays = self.snapshot.nodes["a"].facts.devices.by_id
        free = [
            device
            for device in self.there
            if device.choice.resource == resource
            and len(device.holders) < max(device.choice.replicas, 1)
            and (seen := stays.get(device_id(device.choice.gpu, device.choice.start))) is not None
            and seen.resource == resource
        ]
        assert free, f"{one.key} is bound, and kubelet has nothing for it"
        self.draw(st.sampled_from(free)).holders.append(one.key)
        self.set(structs.replace(one, admitted=True))
        self.report()


def overlap(device: DeviceChoice, chosen: DeviceChoice, size: int) -> bool:
    if device.start is None or chosen.start is None:
        return True
    its = {"1g": 1, "2g": 2, "3g": 4, "7g": 8}[device.profile[:2]]
    return device.start < chosen.start + size and chosen.start < device.start + its


def has(one: PlacedPod, device: DeviceChoice) -> bool:
    """By its assignment, which counts until kubelet has decided."""
    return not one.admitted and any(
        (d.gpu, d.start, d.resource) == (device.gpu, device.start, device.resource) for d in one.devices
    )


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_no_device_is_given_twice_or_taken_away_whatever_happens(data: st.DataObject) -> None:
    machine = Machine(data)
    for _ in range(data.draw(st.integers(1, 25))):
        machine.step()
        state = machine.snapshot.nodes["a"]
        for id_, holders in state.held.items():
            device = state.facts.devices.by_id[id_]
            # Shares that kubelet gave to another than was decided: those of another GPU make up for it.
            assert len(holders) <= device.capacity or (
                device.shares and state.available(device.resource) >= 0
            ), (
                id_,
                holders,
            )
        assert all(state.unasked[resource] >= 0 for resource in state.facts.devices.by_resource)
