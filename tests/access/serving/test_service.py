import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from aliquot.access.log.notes import new_key
from aliquot.access.log.verify import ED25519
from aliquot.access.serving import https
from aliquot.access.serving.configuration import load
from aliquot.access.serving.https import CannotServe
from aliquot.access.serving.metrics import Metrics
from aliquot.access.serving.service import audit_token, serve
from aliquot.clock import SystemClock


def test_a_token_that_cannot_be_used_is_told_before_anything_is_served(tmp_path: Path) -> None:
    path = tmp_path / "demo.audit"
    with pytest.raises(
        CannotServe, match=r"demo.audit: cannot be read: No such file or directory; make what"
    ):
        audit_token(path)
    path.write_text("short\n")
    with pytest.raises(CannotServe, match=r"demo.audit: a secret that short can be guessed"):
        audit_token(path)
    path.write_text("0123456789abcdef\n")
    assert audit_token(path) == str(path)


class Stop(Exception):
    pass


async def test_what_is_counted_begins_before_anybody_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = {
        "current-context": "demo",
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "agent"}}],
        "clusters": [{"name": "demo", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "agent", "user": {"token": "t"}}],
    }
    (tmp_path / "agent.kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    (tmp_path / "log.key").write_text(new_key("demo.example.com/access", ED25519, bytes(32)).text)
    (tmp_path / "policy.yaml").write_text(
        "security: [security]\nclearing: {slots: [[platform], [security]]}\n"
        "ceiling:\n- {apiGroups: ['*'], resources: ['*'], verbs: ['*']}\n"
    )
    (tmp_path / "who.yaml").write_text(
        "roles: {platform: {groups: ['demo#platform']}, security: {groups: ['demo#security']}}\n"
    )
    path = tmp_path / "access.yaml"
    path.write_text(
        f"""\
database: sqlite:///{tmp_path}/access.db
listen: 127.0.0.1:0
policyFile: policy.yaml
bindingsFile: who.yaml
logKeyFile: log.key
clusters:
- {{name: demo, kubeconfig: agent.kubeconfig}}
identity:
  keyFile: identity.key
  kubernetes:
  - {{cluster: demo, issuer: demo}}
"""
    )
    order: list[str] = []
    look = Metrics.look

    async def looked(self: Metrics) -> None:
        await look(self)
        order.append("counted")

    async def answered(*_: Any) -> None:
        order.append("answered")
        raise Stop

    monkeypatch.setattr(Metrics, "look", looked)
    monkeypatch.setattr(https, "serve", answered)
    with pytest.raises(ExceptionGroup) as group:
        await serve(load(path), tmp_path, clock=SystemClock(), rng=random.Random(1))
    assert group.group_contains(Stop)
    assert order[:2] == ["counted", "answered"]
