"""As one HTML file without links or scripts."""

from pathlib import Path

import jinja2

from aliquot.eks.preflight.verdict import Preflight

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def text(preflight: Preflight, titles: dict[str, str]) -> str:
    return _TEMPLATES.get_template("preflight.html").render(preflight=preflight, titles=titles)
