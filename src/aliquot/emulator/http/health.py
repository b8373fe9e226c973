"""`/healthz`, `/livez` and `/readyz`: whole, with `?verbose`, or one check by its name.

Load balancers and scripts read the words, so they are those of a real kube-apiserver; the checks are the ones that
mean something here.
"""

from collections.abc import Collection, Sequence

from aliquot.emulator.http.answers import Answer, text_answer

PATHS = ("healthz", "livez", "readyz")
_CHECKS = ("ping", "log", "etcd", "poststarthook/rbac/bootstrap-roles")
_SHUTDOWN = "shutdown"
"""A server that is stopping lives and is not ready."""


def answer(
    endpoint: str, check: str, *, stopping: bool, verbose: bool, excluded: Collection[str]
) -> Answer | None:
    """`check` is the rest of the path, empty for all of them. None when there is no such check."""
    names: Sequence[str] = (*_CHECKS, _SHUTDOWN) if endpoint == "readyz" else _CHECKS
    failed = {_SHUTDOWN} if stopping else set()
    if check:
        if check not in names:
            return None
        return (
            text_answer("internal server error: process is shutting down\n", 500)
            if check in failed
            else text_answer("ok")
        )
    lines = [_line(name, name in failed, name in excluded) for name in names]
    if failed.intersection(names) - set(excluded):
        return text_answer("\n".join([*lines, f"{endpoint} check failed\n"]), 500)
    return text_answer("\n".join([*lines, f"{endpoint} check passed\n"]) if verbose else "ok")


def _line(name: str, failed: bool, excluded: bool) -> str:
    if excluded:
        return f"[+]{name} excluded: ok"
    return f"[-]{name} failed: reason withheld" if failed else f"[+]{name} ok"
