"""For all tests: the programs that they start again and again may keep their bytecode, whatever the environment says.

Without it every `aliquot` that a test runs compiles hundreds of modules anew.
"""

import os

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
