"""Write the chart into a directory: `make generate` does."""

import sys
from pathlib import Path

from aliquot.installation.chart.files import files

if __name__ == "__main__":
    for name, text in files().items():
        path = Path(sys.argv[1]) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
