"""A report as one page that needs nothing else: no link leads out of it, nothing in it is run, and all of it is escaped."""

from collections.abc import Iterator

from jinja2 import Environment, PackageLoader, StrictUndefined

from aliquot.access.reports.document import read, told
from aliquot.access.reports.frameworks import WARNING

_AT_ONCE = 1000
"""Pieces of a page."""


def page(lines: Iterator[bytes]) -> Iterator[str]:
    """In pieces, as rows are read. Raises NoReport."""
    head, sections = read(lines)
    environment = Environment(
        loader=PackageLoader("aliquot.access.reports.forms", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["told"] = told
    stream = environment.get_template("page.html.jinja").stream(head=head, sections=sections, warning=WARNING)
    stream.enable_buffering(_AT_ONCE)
    yield from stream
