"""Alerts are over metrics that there are, with labels that they have."""

import re

import pytest

from aliquot.access.serving.alerts import ALERTS, Alert, prometheus_rule
from aliquot.access.serving.metrics import PREFIX, families
from aliquot.access.serving.tally import Tally
from aliquot.access.store.standing import Grants, LogStanding, Standing, Waiting, Witnessed
from aliquot.metrics.exposition import render


def shown() -> str:
    tally = Tally()
    tally.findings["agent", "bypass", "one"] += 1
    now = Standing(
        now_s=10.0,
        requests={"pending": 1},
        active=(Grants("fix", "one", 1),),
        waiting=(Waiting("Notify", 1, 0, 1.0),),
        reviews_due=1,
        reviews_overdue=1,
        log=LogStanding(1, 1, 1.0),
        witnesses={"w": Witnessed()},
        audit_logs={"one": 1.0},
        is_switch_pulled=False,
    )
    return render(families(now, tally, reasons={"log": ""}, journal=1))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one.name)
def test_each_is_over_what_is_shown(alert: Alert) -> None:
    text = shown()
    found = re.findall(r"\$(\w+)(?:\{(\w+)!?=)?", alert.expression)
    assert found
    for name, label in found:
        (line,) = re.findall(rf"^{PREFIX}{name}(?:\{{.*)? \S+$", text, re.MULTILINE)[:1]
        assert not label or f'{label}="' in line


def test_each_rule_is_whole() -> None:
    (group,) = prometheus_rule()["spec"]["groups"]
    names = [one["alert"] for one in group["rules"]]
    assert len(set(names)) == len(ALERTS)
    for one in group["rules"]:
        assert "$" not in one["expr"]
        assert one["labels"]["severity"] in ("critical", "warning")
        assert re.fullmatch(r"\d+[mh]", one["for"])
