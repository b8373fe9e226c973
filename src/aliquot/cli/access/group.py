"""The group of the `access` commands."""

import click

from aliquot.cli.lazy import LazyGroup

_COMMANDS = {
    "login": ("aliquot.cli.access.login", "login", "Get the token with which the other commands call."),
    "simulate": ("aliquot.cli.access.asking", "simulate", "What a request would come to, before you ask."),
    "request": ("aliquot.cli.access.asking", "request", "Ask for what a template gives."),
    "list": ("aliquot.cli.access.asking", "list_", "Requests and grants that you may see."),
    "show": ("aliquot.cli.access.asking", "show", "What was asked for, and what has become of it."),
    "approve": ("aliquot.cli.access.asking", "approve", "Agree to a request, once you have seen it."),
    "deny": ("aliquot.cli.access.asking", "deny", "Say no to a request."),
    "withdraw": ("aliquot.cli.access.asking", "withdraw", "Take back what you asked for."),
    "activate": ("aliquot.cli.access.asking", "activate", "Begin: the time runs from now."),
    "kubeconfig": ("aliquot.cli.access.having", "kubeconfig", "A kubeconfig with which kubectl has a grant."),
    "credential": ("aliquot.cli.access.having", "credential", "A credential for a grant, for kubectl."),
    "extend": ("aliquot.cli.access.having", "extend", "Ask for a grant to last longer."),
    "return": ("aliquot.cli.access.having", "return_", "Give a grant back before its time."),
    "revoke": ("aliquot.cli.access.having", "revoke", "End somebody's grant now."),
    "review": ("aliquot.cli.access.overseeing", "review", "Judge a grant that is over."),
    "used": (
        "aliquot.cli.access.audit",
        "used",
        "What a grant was used for, and which of its rights never were.",
    ),
    "audit": (
        "aliquot.cli.access.audit",
        "audit",
        "Clusters' audit logs: how they come, and access that no grant gave.",
    ),
    "kill": ("aliquot.cli.access.overseeing", "kill", "Pull the kill switch: all access ends."),
    "clear": ("aliquot.cli.access.overseeing", "clear", "Agree to clear the kill switch; it takes two."),
    "report": ("aliquot.cli.access.report", "report", "Reports for auditors, as a table, a page or CSV."),
    "serve": (
        "aliquot.cli.access.serve",
        "serve",
        "The server: API, grants, their ends and the log, in one process.",
    ),
    "users": (
        "aliquot.cli.access.users",
        "users",
        "Users of the server's own, and who has passkeys or codes at it.",
    ),
    "cluster-objects": (
        "aliquot.cli.access.cluster",
        "cluster_objects",
        "What a cluster needs before the first grant, as YAML for kubectl apply.",
    ),
    "server-objects": (
        "aliquot.cli.access.server",
        "server_objects",
        "The server in a cluster, as YAML for kubectl apply.",
    ),
    "sentinel": (
        "aliquot.cli.access.cluster",
        "sentinel",
        "Delete what of grants is past due, by itself, with no database.",
    ),
    "templates": (
        "aliquot.cli.access.templates",
        "templates",
        "What may be asked for: the templates that are shipped, and checks of your own.",
    ),
    "log": (
        "aliquot.cli.access.log",
        "log",
        "The log: check it offline, export it, witness it as another team.",
    ),
}


@click.command(cls=LazyGroup, listed=_COMMANDS)
def access() -> None:
    """Break glass: into production for a while, asked for, approved, recorded, and out again."""
