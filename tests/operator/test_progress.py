"""One row for each rule of a node's way from bare to validated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.operator.core.operands import ALL_LABEL, DEPLOY_LABELS, PAUSED, Image, OperandName, shipped
from aliquot.operator.core.policies import Policy, read
from aliquot.operator.core.progress import NodeView, OperandPod, Progress, Shown, Step, leave, progress

NOW_S = 10_000.0
BARE = {"nvidia.com/gpu.present": "true", "aliquot.dev/gpu-policy": "p"}
READY = OperandPod(True)
SHORT = {"driver": "D", "toolkit": "T", "agent": "A", "exporter": "E", "validator": "V"}
NAMES = {letter: OperandName(name) for name, letter in SHORT.items()}
SAYS_READY = {"Ready": Shown("True", "Serving", "", 0), "MIGConfigured": Shown("True", "AsWanted", "", 0)}


def policy(**spec: Any) -> Policy:
    made = msgspec.convert({"metadata": {"name": "p"}, "spec": spec}, GPUPolicy)
    return read(made, 0.0, shipped(Image("", "aliquot", "1")))


AS_SHIPPED = policy()


def labelled(letters: str, value: str = "true") -> dict[str, str]:
    return {DEPLOY_LABELS[NAMES[letter]]: value for letter in letters}


def pods(letters: str, **others: OperandPod) -> dict[OperandName, OperandPod]:
    return {NAMES[letter]: READY for letter in letters} | {
        NAMES[letter]: pod for letter, pod in others.items()
    }


@dataclass(frozen=True)
class Case:
    rule: str
    deployed: str
    """Letters of the operands that the node's labels ask for."""
    running: Mapping[OperandName, OperandPod]
    says: str
    """The conditions as letters in their order: T(rue), F(alse), ? unknown."""
    gets: str = ""
    """Letters of the operands that it gets now."""
    reason: str = ""
    """Of the first that is not true."""
    conditions: Mapping[str, Shown] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = AS_SHIPPED
    more: Mapping[str, Any] = field(default_factory=dict)


PULLS = OperandPod(False, reason="ImagePullBackOff", message="no such image")
CASES = [
    Case("bare: the driver first", "", {}, "F?????", gets="D", reason="Starting"),
    Case("it loads", "D", pods("", D=OperandPod(False)), "F?????", reason="Starting"),
    Case("its image is not there", "D", pods("", D=PULLS), "F?????", reason="ImagePullBackOff"),
    Case("then the toolkit", "D", pods("D"), "TF????", gets="T", reason="Starting"),
    Case("then the agent", "DT", pods("DT"), "TTF???", gets="A", reason="Starting"),
    Case("the agent has said nothing", "DTA", pods("DTA"), "TTF???", reason="Starting"),
    Case("it is not ready", "DTA", pods("DTA"), "TTF???", reason="NoDriver", conditions={"Ready": Shown("False", "NoDriver", "", 0)}),
    Case("then the exporter and the validator", "DTA", pods("DTA"), "TTTTFF", gets="EV", reason="Starting", conditions=SAYS_READY),
    Case("slices are being cut", "DTAEV", pods("DTAEV"), "TTTFT?", reason="Cutting", conditions=SAYS_READY | {"MIGConfigured": Shown("False", "Cutting", "", 0)}),
    Case("the checks are under way", "DTAEV", pods("DTAEV"), "TTTTTF", reason="Validating", conditions=SAYS_READY),
    Case("validated", "DTAEV", pods("DTAEV"), "TTTTTT", conditions=SAYS_READY, more={"validated": True}),
    Case("what was said before its software came again is old", "DTAEV", pods("DTAE"), "TTTTTF", reason="Starting", conditions=SAYS_READY, more={"validated": True}),
    Case("a validator that is exchanged takes nothing back", "DTAEV", pods("DTAE"), "TTTTTT", conditions=SAYS_READY | {"Validated": Shown("True", "Validated", "", 0)}, more={"validated": True}),
    Case("it does not work", "DTAEV", pods("DTAEV"), "TTTTTF", reason="ValidationFailed", conditions=SAYS_READY, more={"validated": False}),
    Case("the exporter does not hold up the rest", "DTAEV", pods("DTAV", E=PULLS), "TTTTFT", reason="ImagePullBackOff", conditions=SAYS_READY, more={"validated": True}),
    Case("within the deadline", "D", pods("", D=PULLS), "F?????", reason="ImagePullBackOff", conditions={"DriverReady": Shown("False", "Starting", "", NOW_S - 1199)}),
    Case("beyond it", "D", pods("", D=PULLS), "F?????", reason="DeadlineExceeded", conditions={"DriverReady": Shown("False", "Starting", "", NOW_S - 1200)}),
    Case("the time before does not count", "D", pods("", D=PULLS), "F?????", reason="ImagePullBackOff", conditions={"DriverReady": Shown("Unknown", "Paused", "", 0)}),
    Case("a driver that stumbles later takes nothing away", "DTAEV", pods("TAEV", D=OperandPod(False, reason="CrashLoopBackOff")), "FTTTTT", reason="CrashLoopBackOff", conditions=SAYS_READY, more={"validated": True}),
    Case("an outdated driver works until it is exchanged", "DTAEV", pods("TAEV", D=OperandPod(True, is_current=False)), "TTTTTT", conditions=SAYS_READY, more={"validated": True}),
    Case("while a driver is exchanged", "DT", pods("DT"), "TT??" + "??", reason="Paused", labels=labelled("AEV", PAUSED), more={"is_upgrading": True}),
    Case("while the driver's pod unloads the last one", "D", pods("", D=OperandPod(False)), "F?????", reason="Starting", labels=labelled("TAEV", PAUSED)),
    Case("what it has left paused comes back", "D", pods("D"), "TF????", gets="T", reason="Starting", labels=labelled("TAEV", PAUSED)),
    Case("... one after the other", "DT", pods("DT"), "TTF???", gets="A", reason="Starting", labels=labelled("AEV", PAUSED)),
    Case("nobody pauses a driver", "TAEV", pods("TAEV"), "FTTTTT", gets="D", reason="Starting", conditions=SAYS_READY, labels=labelled("D", PAUSED), more={"validated": True}),
    Case("a driver that is there already", "", {}, "TF????", gets="T", reason="Starting", policy=policy(driver={"preinstalled": True})),
    Case("driver and toolkit there already", "", {}, "TTF???", gets="A", reason="Starting", policy=policy(driver={"preinstalled": True}, toolkit={"preinstalled": True})),
    Case("no exporter", "DTA", pods("DTA"), "TTTTTF", gets="V", reason="Starting", conditions=SAYS_READY, policy=policy(exporter={"enabled": False})),
    Case("no validator: not waited for", "DTAE", pods("DTAE"), "TTTTTT", conditions=SAYS_READY, policy=policy(validator={"enabled": False})),
    Case("the user wants no toolkit here", "D", pods("D"), "TTF???", gets="A", reason="Starting", labels=labelled("T", "false")),
    Case("the user wants nothing here", "", {}, "TTTTTT", labels={ALL_LABEL: "false"}),
]  # fmt: skip


def look(case: Case) -> Progress:
    labels = {**BARE, **labelled(case.deployed), **case.labels}
    view = NodeView("n", labels, case.policy, case.running, case.conditions, **case.more)
    return progress(view, NOW_S)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_how_far_it_is(case: Case) -> None:
    found = look(case)
    letters = {"True": "T", "False": "F", "Unknown": "?"}
    assert "".join(letters[found.conditions[step].status] for step in Step) == case.says
    gets = [name for name, label in DEPLOY_LABELS.items() if found.labels.get(label) == "true"]
    assert "".join(SHORT[name] for name in gets) == case.gets
    first = next((told.reason for told in found.conditions.values() if told.status != "True"), "")
    assert first == case.reason


@pytest.mark.parametrize(
    ("said", "running", "told"),
    [
        (Shown("False", "NoSuchConfigMap", "there is none", 0), "DTAEV", "there is none"),
        (Shown("False", "WaitingForUsers", "GPU 0 is held", 0), "DTAEV", ""),
        (Shown("True", "InEffect", "as configured", 0), "DTAEV", ""),
        (Shown("False", "NoSuchConfigMap", "of an agent that has gone", 0), "DT", ""),
    ],
)
def test_what_an_agent_cannot_do_as_it_is_configured(said: Shown, running: str, told: str) -> None:
    case = Case("", "DTAEV", pods(running), "", conditions=SAYS_READY | {"Configured": said})
    assert look(case).unconfigured == told


def test_what_is_no_longer_wanted_goes() -> None:
    case = Case(
        "", "DTAEV", pods("DTAEV"), "", policy=policy(exporter={"enabled": False}), conditions=SAYS_READY
    )
    assert look(case).labels == {DEPLOY_LABELS[OperandName.EXPORTER]: None}


def test_a_node_that_is_left_keeps_what_its_user_said() -> None:
    labels = {**BARE, **labelled("DAEV"), **labelled("T", "false"), "other": "true"}
    gone = {*BARE, *labelled("DAEV")}
    assert leave(labels) == dict.fromkeys(sorted(gone))


def test_who_waits_is_looked_at_again_at_the_deadline() -> None:
    shown = {"DriverReady": Shown("False", "Starting", "", NOW_S - 1000)}
    assert look(Case("", "D", pods("", D=PULLS), "", conditions=shown)).look_again_s == 200
