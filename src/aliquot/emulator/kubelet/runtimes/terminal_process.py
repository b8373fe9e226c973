"""Between kubelet and a command that gets a terminal: a program of its own, run by its path.

    python -I -S terminal_process.py DESCRIPTOR

Reads the command (executable, command, env, directory) from the descriptor, makes the terminal on its standard input
the controlling one, and becomes the command.
"""

import fcntl
import json
import os
import signal
import sys
import termios
from typing import NoReturn

_CANNOT_EXECUTE = 126
_NOT_DEFAULT_IN_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)


def main(descriptor: int) -> NoReturn:
    with open(descriptor) as file:
        command = json.load(file)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in _NOT_DEFAULT_IN_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(command["directory"])
        os.execve(command["executable"], command["command"], command["env"])
    except OSError as error:
        print(f'exec: "{command["command"][0]}": {error.strerror}', file=sys.stderr)  # noqa: T201
        sys.exit(_CANNOT_EXECUTE)


if __name__ == "__main__":
    main(int(sys.argv[1]))
