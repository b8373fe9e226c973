from pathlib import Path

import pytest

from aliquot.access.serving.policy_files import PolicyFiles
from aliquot.document import DocumentError

WHO = """\
roles:
  leads: {groups: ["idp#leads"]}
  platform: {groups: ["idp#platform"]}
  security: {groups: ["idp#security"]}
"""
POLICY = """\
security: [security]
clearing: {slots: [[platform], [security]]}
ceiling:
- {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}
"""
TEMPLATE = """\
name: shop-logs
owner: platform
description: Logs.
tier: standard
requesters: [developers]
rules:
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
clusters: ["*"]
namespaces: ["shop"]
times: {default: 30m, most: 1h, withExtensions: 2h}
stepUp: {request: none, approval: none}
ticket: {need: optional}
approval:
  slots: [[leads], [security]]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "who.yaml").write_text(WHO)
    (tmp_path / "templates/shop.yaml").write_text(TEMPLATE)
    return tmp_path


def files(folder: Path) -> PolicyFiles:
    return PolicyFiles(folder / "policy.yaml", folder / "who.yaml", [folder / "templates"])


async def test_what_changes_is_read_again(folder: Path) -> None:
    found = files(folder)
    before = found.now()
    assert before is not None
    assert "shop-logs" in before.templates
    await found.look()
    assert found.now() is before
    (folder / "templates/shop.yaml").write_text(TEMPLATE.replace("most: 1h", "most: 2h"))
    (folder / "templates/other.yaml").write_text(TEMPLATE.replace("shop-logs", "other-logs"))
    await found.look()
    after = found.now()
    assert after is not None
    assert after.templates["shop-logs"].max_duration_s == 7200
    assert "other-logs" in after.templates
    assert after.digest != before.digest


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("policy.yaml", "security: [", "policy.yaml:"),
        ("policy.yaml", POLICY.replace("ceiling", "cieling"), "did you mean 'ceiling'?"),
        ("policy.yaml", None, "policy.yaml: cannot be read"),
        ("who.yaml", WHO.replace("idp#leads", "leads"), "who.yaml:2:"),
        ("templates/shop.yaml", TEMPLATE.replace("pods/log", "*"), "shop.yaml:"),
        ("templates/two.yaml", TEMPLATE, "there is another template 'shop-logs'"),
        # As an editor leaves it for a moment, and a full disk for longer.
        ("templates/shop.yaml", "", "shop.yaml: there is no template in it"),
    ],
)
async def test_while_one_is_broken_nobody_knows_what_is_to_be_given(
    folder: Path, name: str, text: str | None, said: str
) -> None:
    found = files(folder)
    before = found.now()
    kept = (folder / name).read_text() if (folder / name).exists() else None
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    await found.look()
    assert found.now() is None
    assert said in found.problem
    assert found.last is before
    if kept is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(kept)
    await found.look()
    assert found.now() == before
    assert found.problem == ""


async def test_a_folder_that_may_not_be_looked_into_is_broken_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = files(folder)
    before = found.now()

    def not_for_us(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", not_for_us)
        await found.look()
        assert found.now() is None
        assert found.problem.endswith("templates: cannot be read: Permission denied")
    await found.look()
    assert found.now() == before


def test_with_a_broken_one_nothing_begins(folder: Path) -> None:
    (folder / "who.yaml").write_text("roles: []")
    with pytest.raises(DocumentError, match=r"who\.yaml:1"):
        files(folder)
