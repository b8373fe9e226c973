from pathlib import Path

import pytest

from aliquot.document import DocumentError
from aliquot.gpu.mig_config.hooks import Hook, HookPoint, load, parse

WHOLE = """\
version: v1
hooks:
  apply-start:
  - workdir: /srv
    command: /bin/sh
    args: [-c, "echo $MIG_PARTED_SELECTED_CONFIG"]
    envs: {FIRST: "1", empty: ""}
  - command: second
  pre-apply-mode:
  - {command: mode}
  pre-apply-config:
  - {command: config}
  apply-exit:
  - {command: exit}
"""


def test_every_point_has_its_hooks_in_order() -> None:
    assert parse(WHOLE, source="f") == {
        HookPoint.APPLY_START: (
            Hook(
                "/bin/sh",
                ("-c", "echo $MIG_PARTED_SELECTED_CONFIG"),
                {"FIRST": "1", "empty": ""},
                "/srv",
            ),
            Hook("second"),
        ),
        HookPoint.PRE_APPLY_MODE: (Hook("mode"),),
        HookPoint.PRE_APPLY_CONFIG: (Hook("config"),),
        HookPoint.APPLY_EXIT: (Hook("exit"),),
    }


@pytest.mark.parametrize(
    "text",
    [
        "version: v1",
        "version: v1\nhooks:",
        "version: v1\nhooks: {}",
        "version: v1\nhooks: {apply-exit: []}",
        "version: v1\nhooks:\n  apply-exit:",
        '{"hooks": {}, "version": "v1"}',
    ],
)
def test_a_file_may_have_no_hooks(text: str) -> None:
    assert parse(text, source="f") == {}


def test_what_a_hook_leaves_out_may_be_nothing() -> None:
    text = "version: v1\nhooks: {apply-exit: [{command: a, args: null, envs: null}]}"
    assert parse(text, source="f") == {HookPoint.APPLY_EXIT: (Hook("a"),)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: the document is empty"),
        ("hooks: {}", "f:1: field 'version' is missing"),
        ("version: v2\nhooks: {}", "f:1: version 'v2' is not 'v1', the only one there is"),
        ("version: v1\nhook: {}", "f:2: unknown field 'hook'; did you mean 'hooks'?"),
        (
            "version: v1\nhooks:\n  apply-begin: []",
            "f:3: unknown field 'apply-begin' in hooks; did you mean 'apply-exit'?",
        ),
        (
            "version: v1\nhooks:\n  before: []",
            "f:3: unknown field 'before' in hooks; known: apply-exit, apply-start, pre-apply-config, "
            "pre-apply-mode",
        ),
        ("version: v1\nhooks: []", "f:2: hooks: an object is expected, not a list"),
        (
            "version: v1\nhooks:\n  apply-exit:\n  - args: [a]",
            "f:4: hooks.apply-exit[0]: field 'command' is missing",
        ),
        ("version: v1\nhooks:\n  apply-exit:\n  - command: ''", "f:4: the command is empty"),
        (
            "version: v1\nhooks:\n  apply-exit:\n  - command: a\n    env: {}",
            "f:5: unknown field 'env' in hooks.apply-exit[0]; did you mean 'envs'?",
        ),
        (
            "version: v1\nhooks:\n  apply-exit:\n  - command: a\n    args: -c",
            "f:5: hooks.apply-exit[0].args: a list is expected, not text",
        ),
        (
            "version: v1\nhooks:\n  apply-exit:\n  - command: a\n    envs: {A: 1}",
            "f:5: hooks.apply-exit[0].envs.A: text is expected, not a whole number",
        ),
        (
            "version: v1\nhooks:\n  apply-exit:\n  - command: a\n    envs:\n      A=B: c",
            "f:6: 'A=B' is no name of a variable: it may not be empty or have a '='",
        ),
        (
            "version: v1\nhooks:\n  apply-exit:\n  - command: a\n    envs: {'': c}",
            "f:5: '' is no name of a variable: it may not be empty or have a '='",
        ),
    ],
)
def test_a_bad_file_is_one_line(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, source="f")
    assert str(caught.value) == message


def test_a_file_is_read_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "hooks.yaml"
    path.write_text(WHOLE)
    assert list(load(path)) == list(HookPoint)
    path.write_text("version: v1\nhooks: 1\n")
    with pytest.raises(DocumentError, match=r"hooks\.yaml:2: hooks: an object is expected"):
        load(path)
