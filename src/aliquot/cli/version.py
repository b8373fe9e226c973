"""`aliquot version`."""

import click

from aliquot import __version__
from aliquot.cli.output import Format, emit, output_option


@click.command()
@output_option
def version(output: Format) -> None:
    """Versions of Aliquot and of what it stands on."""
    import importlib.metadata
    import platform

    versions = {
        "aliquot": __version__,
        "python": platform.python_version(),
        "grpcio": importlib.metadata.version("grpcio"),
        "nvidia-ml-py": importlib.metadata.version("nvidia-ml-py"),
    }
    emit(output, lambda: versions, columns=("COMPONENT", "VERSION"), rows=list(versions.items()))
