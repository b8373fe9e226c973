"""Objects as rows: what kubectl shows, computed by the server.

Pure functions over JSON objects and the time. `rendering` reads what a client asks for, `printer` knows how a
resource is shown.
"""

from aliquot.emulator.tables.table import (
    PLAIN,
    SCALE,
    Form,
    IncludeObject,
    Printer,
    Rendering,
    partial_metadata,
    partial_metadata_list,
    printer,
    rendering,
)

__all__ = [
    "PLAIN",
    "SCALE",
    "Form",
    "IncludeObject",
    "Printer",
    "Rendering",
    "partial_metadata",
    "partial_metadata_list",
    "printer",
    "rendering",
]
