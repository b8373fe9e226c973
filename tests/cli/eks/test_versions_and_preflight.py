"""`aliquot eks`, as it is typed."""

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.eks.group import eks
from aliquot.clock import SystemClock

OLD = "apiVersion: flowcontrol.apiserver.k8s.io/v1beta3\nkind: FlowSchema\nmetadata: {name: shop}\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(eks, [*arguments])


def test_versions_as_seen_on_a_day() -> None:
    lines = run("versions", "--on", "2026-10-01").stdout.splitlines()
    row = next(line for line in lines if line.startswith("1.31"))
    assert row.split()[1:4] == ["extended", "2025-11-26", "2026-11-26"]
    assert "ends in 56 days" in row


@pytest.mark.parametrize(
    "words",
    [
        ("versions", "--live", "--endpoint-url", "http://127.0.0.1:1"),
        ("status",),
        ("approve", "prod"),
        ("delete", "prod"),
        ("fake",),
    ],
)
def test_a_region_that_cannot_be_is_one_line(words: tuple[str, ...]) -> None:
    told = run(*words, "--region", "mars")
    assert told.exit_code == 2
    assert told.stderr.strip().endswith("AWS has no region 'mars': write it as eu-west-1")


def test_dates_that_nobody_has_published_are_marked() -> None:
    lines = run("versions", "--on", "2026-11-29").stdout.splitlines()
    marked = [line.split()[0] for line in lines if "(computed)" in line]
    assert marked == ["1.37"]
    assert "2027-12-01 (computed)   2028-12-01 (computed)" in lines[-1]


def test_versions_for_programs() -> None:
    told = json.loads(run("versions", "--on", "2026-11-29", "--all", "-o", "json").stdout)
    by_minor = {one["minor"]: one for one in told}
    assert by_minor["1.24"]["support"] == "ended"
    assert by_minor["1.34"] == {
        "minor": "1.34",
        "support": "standard",
        "released": "2025-10-02",
        "standardUntil": "2026-12-02",
        "extendedUntil": "2027-12-02",
        "usdPerHour": 0.1,
        "dearerFrom": "2026-12-02",
        "extraUsdPerYear": 4380.0,
        "extraUsdUntilEnd": 4380.0,
        "computed": False,
        "unsure": "",
    }


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(OLD)
    return tmp_path


def test_manifests_that_block(manifests: Path) -> None:
    result = run("preflight", "--manifests", str(manifests), "--to", "1.32")
    assert result.exit_code == 4
    assert "flow.yaml:1, removed-apis" in result.stdout
    assert run("preflight", "--manifests", str(manifests), "--to", "1.31").exit_code == 0


def test_a_waiver_lets_it_pass_and_a_broken_one_stops_all(manifests: Path) -> None:
    waivers = manifests / "waivers.txt"
    soon = datetime.fromtimestamp(SystemClock().now(), UTC).date() + timedelta(days=30)
    waivers.write_text(f"waivers:\n- {{check: removed-apis, reason: moved by then, expires: {soon}}}\n")
    arguments = ("preflight", "--manifests", str(manifests), "--to", "1.32", "--waivers", str(waivers))
    told = run(*arguments, "-o", "json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["findings"][0]["waived"] == f"until {soon}: moved by then"
    waivers.write_text("waivers:\n- {check: removed-apis, expires: 2026-12-24}\n")
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert "waivers.txt:2" in refused.stderr


def test_what_could_not_be_read_is_a_code_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("apiVersion: {{ .v }}\nkind: Pod\n")
    arguments = ("preflight", "--manifests", str(tmp_path), "--to", "1.32")
    assert run(*arguments).exit_code == 6
    assert run(*arguments, "--allow-unchecked").exit_code == 0


ISSUER = "apiVersion: cert-manager.io/v1alpha2\nkind: Issuer\nmetadata: {name: x}\n"
ORDER = "apiVersion: shop.example.com/v1beta1\nkind: Order\nmetadata: {name: x}\n"
TABLE = """\
target-versions: {shop: v1.5.0}
deprecated-versions:
- {version: shop.example.com/v1beta1, kind: Order, removed-in: v1.5.0, component: shop}
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("--fail-on", "warn"), 5),
        (("--target", "cert-manager=1.16"), 4),
        (("--target", "cert-manager=1.3", "--fail-on", "warn"), 0),
        (("--target", "cert-manager=1.16", "--component", "istio"), 0),
        (("--target", "cert-manager=1.16", "--component", "cert-manager"), 4),
        (("--table", "TABLE"), 4),
        (("--table", "TABLE", "--target", "shop=1.4"), 0),
        (("--table", "TABLE", "--component", "kubernetes"), 0),
    ],
)
def test_components_go_by_their_own_versions(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    (tmp_path / "all.yaml").write_text(f"{ISSUER}---\n{ORDER}")
    table = tmp_path / "table.txt"
    table.write_text(TABLE)
    given = [str(table) if one == "TABLE" else one for one in arguments]
    assert run("preflight", "--manifests", str(tmp_path), "--to", "1.33", *given).exit_code == code


def test_a_table_that_is_wrong_stops_all_with_its_line(tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text(
        f"{TABLE}- {{version: extensions/v1beta1, kind: Deployment, removed-in: v1.16.0, component: x}}\n"
    )
    refused = run("preflight", "--manifests", str(tmp_path), "--to", "1.33", "--table", str(table))
    assert refused.exit_code == 1
    assert "table.txt:4" in refused.stderr
    assert "is in the shipped table" in refused.stderr


@pytest.mark.parametrize("form", ["sarif", "junit", "html", "json", "text"])
def test_a_report_goes_into_its_file(manifests: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "report"
    result = run("preflight", "--manifests", str(manifests), "--to", "1.32", "-o", form, "--out", str(out))
    assert result.exit_code == 4
    assert result.stdout.rstrip().endswith("blocked: 1 blocking (no cluster was asked, AWS was not asked)")
    assert "FlowSchema" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("preflight", "--to", "1.32"), "say what to look at"),
        (("preflight", "--to", "latest", "--kubernetes"), "write it as 1.32"),
        (("preflight", "prod", "--kubernetes", "--to", "1.32"), "leave CLUSTER out"),
        (("preflight", "--manifests", ".", "--from", "1.33", "--to", "1.32"), "1.33 is ahead of 1.32"),
        (("preflight", "--manifests", "/nowhere", "--to", "1.32"), "/nowhere"),
        (("preflight", "--manifests", "", "--to", "1.32"), "it is empty"),
        (("preflight", "--manifests", ".", "--to", "1.32", "--component", "istios"), "did you mean 'istio'"),
        (("preflight", "--manifests", ".", "--to", "1.32", "--target", "istio"), "write it as cert-manager="),
        (("preflight", "--manifests", ".", "--to", "1.32", "--target", "istio=new"), "'new' is no version"),
        (("preflight", "--manifests", ".", "--to", "1.32", "--target", "x=1.2"), "there is no component x"),
        (("preflight", "--manifests", ".", "--to", "1.32", "--target", "k8s=1.2"), "--to says"),
        (("versions", "--on", "tomorrow"), "tomorrow"),
    ],
)
def test_a_line_that_is_wrong(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(("to", "code"), [("1.37", 0), ("1.38", 6), ("2.1", 6)])
def test_what_a_minor_that_nobody_knows_yet_ends_is_unchecked(tmp_path: Path, to: str, code: int) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    result = run("preflight", "--manifests", str(tmp_path), "--to", to)
    assert result.exit_code == code
    assert (f"not checked Kubernetes {to}: 1.37 is the newest that is known here" in result.stdout) == bool(
        code
    )


def test_a_report_goes_into_pipes_and_through_links(manifests: Path) -> None:
    report, link, pipe = manifests / "report", manifests / "link", manifests / "pipe"
    link.symlink_to(report)
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    for out in (link, pipe):
        arguments = ("--manifests", str(manifests / "flow.yaml"), "--to", "1.32", "--out", str(out))
        assert run("preflight", *arguments).exit_code == 4
    reader.join()
    assert link.is_symlink()
    assert pipe.is_fifo()
    assert read == [report.read_text()]
    assert len(list(manifests.iterdir())) == 4


def test_a_report_that_cannot_be_written(manifests: Path) -> None:
    result = run("preflight", "--manifests", str(manifests), "--to", "1.32", "--out", "/nowhere/report")
    assert result.exit_code == 1
    assert "/nowhere/report: cannot be written" in result.stderr
