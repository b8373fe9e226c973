"""docs/break-glass.md shows the shipped templates as they are, and a file with every field."""

import re
from pathlib import Path

import msgspec
import yaml

from aliquot import document
from aliquot.access.core.templates import file
from aliquot.access.core.templates.catalogue import shipped, shipped_documents
from aliquot.access.core.templates.objections import objections
from aliquot.kube import duration

PAGE = (Path(__file__).parents[3] / "docs/break-glass.md").read_text()


def test_the_table_is_what_is_shipped() -> None:
    section = PAGE.partition("### What is shipped")[2].partition("###")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    told = {re.match("`(.*?)`", row[0])[1]: row[1:] for row in rows}  # type: ignore[index]
    assert told == {
        one.name: [
            one.tier,
            "cluster" if one.cluster_wide else "namespace",
            duration.text(one.max_duration_s),
            " + ".join(" or ".join(slot) for slot in found.value["approval"].get("slots", [["beforehand"]])),
            f"{one.step_up.request}, {one.step_up.approval}",
            one.ticket.need,
            duration.text(one.emergency.duration_s) if one.emergency else "-",
        ]
        for one, found in zip(shipped({}), shipped_documents(), strict=True)
    }


def test_the_example_is_a_template_with_every_field() -> None:
    text = PAGE.partition("### Fields")[2].partition("```yaml\n")[2].partition("```")[0]
    found = document.parse(text, source="docs/break-glass.md")
    assert objections(file.read(found, {})) == ()
    fields = {field.encode_name for field in msgspec.structs.fields(file._File)}
    assert set(yaml.safe_load(text)) == fields - {"clusterWide"}
