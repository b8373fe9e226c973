"""`aliquot access serve --check`, with the files of docs/break-glass.md."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.access.group import access

PAGE = (Path(__file__).parents[3] / "docs/break-glass.md").read_text()
FILES = ("shop-logs.yaml", "who.yaml", "policy.yaml", "access.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shown = PAGE.partition(f"$ cat > {name} <<'E'\n")[2].partition("\nE\n")[0]
        (tmp_path / name).write_text(shown + "\n")
    return tmp_path


def checked(folder: Path) -> Result:
    return CliRunner().invoke(access, ["serve", "--check", "--config", str(folder / "access.yaml")])


def test_what_the_page_shows_is_right(folder: Path) -> None:
    came = checked(folder)
    assert came.exit_code == 0, came.output
    assert "nothing speaks against it" in came.output
    assert sorted(one.name for one in folder.iterdir()) == sorted(FILES)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("access.yaml", "listen:", "lisen:", "did you mean 'listen'?"),
        ("access.yaml", "127.0.0.1:8443", "0.0.0.0:8443", "add 'tls'"),
        ("access.yaml", "policyFile: policy.yaml", "policyFile: polcy.yaml", "polcy.yaml"),
        ("access.yaml", "sqlite:///access.db", "mysql://root@here/access", "only sqlite and postgresql"),
        ("access.yaml", "sqlite:///access.db", "sqlite:////not/there/access.db", "there is no directory"),
        ("access.yaml", "logKeyFile: log.key", "logKeyFile: who.yaml", "who.yaml: "),
        ("access.yaml", "{cluster: demo,", "{cluster: dmo,", "access.yaml:12: there is no cluster 'dmo'"),
        ("policy.yaml", "ceiling:", "celing:", "celing"),
        ("who.yaml", "developers:", "developers: []\n  other:", "who.yaml"),
        ("shop-logs.yaml", "verbs: [get, list]", 'verbs: ["*"]', "shop-logs.yaml:7"),
        ("shop-logs.yaml", "default: 30m", "default: soon", "shop-logs.yaml:10"),
    ],
)
def test_what_is_wrong_in_any_of_its_files_is_one_line(
    folder: Path, name: str, old: str, new: str, said: str
) -> None:
    path = folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    came = checked(folder)
    assert (came.exit_code, came.output.count("\n")) == (1, 1), came.output
    assert said in came.output
