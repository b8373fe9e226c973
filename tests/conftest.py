"""For all tests: what the programs that they start find, whatever the tests themselves were started by."""

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in a shell's background. Programs would inherit it, and Ctrl-C could not be tried on them.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without bytecode every `aliquot` that a test runs compiles hundreds of modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
