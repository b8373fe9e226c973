"""`make bench`: every benchmark, each a table with a ratio to a baseline or a distribution. `--short` as CI runs it."""

import importlib
import os
import sys

NAMES = (
    "client",
    "allocate",
    "preferred",
    "node",
    "sharing",
    "scheduling",
    "backfill",
    "queues",
    "mig",
    "planning",
    "cutting",
    "placement",
    "packing",
    "metrics",
    "startup",
    "pods",
    "fleet",
    "api",
    "scale",
    "churn",
    "binding",
    "operator",
    "access_api",
    "access_audit",
    "access_grants",
    "access_log",
    "access_reports",
    "eks_fleet",
    "eks_preflight",
)


def main() -> None:
    # As on a user's machine, where the second start of a program finds the bytecode of the first.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    for name in arguments or NAMES:
        if name not in NAMES:
            sys.exit(f"no benchmark {name!r}; there are {', '.join(NAMES)}")
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main(short="--short" in sys.argv)


if __name__ == "__main__":
    main()
