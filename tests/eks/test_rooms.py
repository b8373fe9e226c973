"""Within the room too data flows one way: AWS and the cluster are read, judged, planned for, and only then changed."""

import ast
from pathlib import Path

import aliquot.eks

ROOT = Path(aliquot.eks.__file__).parent
FROM = {
    "aws": set(),
    "fake": set(),
    "versions": {"aws", "fake"},
    "sightings": {"versions"},
    "estate": {"aws", "sightings", "versions"},
    "preflight": {"estate", "sightings", "versions"},
    "upgrade": {"aws", "estate", "preflight", "versions"},
    "plan": {"aws", "estate", "preflight", "sightings", "upgrade", "versions"},
    "provision": {"aws", "versions"},
}
"""Whom each part imports. The fake knows nothing of ours, so that it can be taken out whole."""


def test_parts_import_as_data_flows() -> None:
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(FROM)
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        part = path.relative_to(ROOT).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if not module.startswith("aliquot."):
                continue
            names = module.split(".")
            if (
                part == "fake" and module != "aliquot.eks.fake" and not module.startswith("aliquot.eks.fake.")
            ) or (
                names[1] == "eks"
                and len(names) > 2
                and names[2] != part
                and names[2] not in FROM.get(part, ())
            ):
                wrong.append(f"{path.relative_to(ROOT)}: {module}")
    assert wrong == []
