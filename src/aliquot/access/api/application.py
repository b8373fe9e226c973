"""The routes."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aliquot.access.api.asking import Asking
from aliquot.access.api.auditing import Auditing
from aliquot.access.api.deciding import Deciding
from aliquot.access.api.declaring import Declaring
from aliquot.access.api.door import Door, written
from aliquot.access.api.exporting import Exporting
from aliquot.access.api.hooks import Hooks
from aliquot.access.api.openapi import document
from aliquot.access.api.overseeing import Overseeing
from aliquot.access.api.problems import HANDLERS
from aliquot.access.api.reporting import Reporting
from aliquot.access.api.signing_in import SigningIn
from aliquot.access.core.life.events import Activate, Withdraw
from aliquot.access.core.people import Person
from aliquot.access.log.verify import Key


def application(
    door: Door,
    *,
    origin: str,
    signing_in: SigningIn | None = None,
    hooks: Hooks | None = None,
    auditing: Auditing | None = None,
    keys: Sequence[Key] = (),
    sign: Callable[[], Awaitable[object]] | None = None,
) -> Starlette:
    """`origin`: the name of the log; `keys`: its own; `sign`: has it signed as it is. `signing_in`: of users of this server's own;
    None: it has none. `hooks`: of ticket systems. `auditing`: what clusters' audit logs say."""
    asking = Asking(door)
    declaring = Declaring(door)
    deciding = Deciding(door, asking)
    overseeing = Overseeing(door, origin=origin)
    exporting = Exporting(door, origin=origin)
    reporting = Reporting(door, origin=origin, keys=keys, sign=sign)
    post, get = ["POST"], ["GET"]
    routes = [
        Route("/healthz", _alive, methods=get),
        Route("/openapi.json", _described, methods=get),
        Route("/v1/requests", asking.ask, methods=post),
        Route("/v1/requests", asking.listed, methods=get),
        Route("/v1/requests/{id}:approve", deciding.approve, methods=post),
        Route("/v1/requests/{id}:deny", deciding.deny, methods=post),
        Route("/v1/requests/{id}:withdraw", deciding.without_body(_withdraw), methods=post),
        Route("/v1/requests/{id}:activate", deciding.without_body(_activate), methods=post),
        Route("/v1/requests/{id}", asking.show, methods=get),
        Route("/v1/requests/{id}", declaring.put, methods=["PUT"]),
        Route("/v1/requests/{id}", declaring.delete, methods=["DELETE"]),
        Route("/v1/grants/{id}:return", deciding.give_back, methods=post),
        Route("/v1/grants/{id}:revoke", deciding.revoke, methods=post),
        Route("/v1/grants/{id}:extend", deciding.extend, methods=post),
        Route("/v1/grants/{id}:credential", deciding.credential, methods=post),
        Route("/v1/reviews/{id}", deciding.judge, methods=post),
        Route("/v1/killswitch", overseeing.switch, methods=get),
        Route("/v1/killswitch:pull", overseeing.pull, methods=post),
        Route("/v1/killswitch:clear", overseeing.clear, methods=post),
        Route("/v1/templates", asking.templates, methods=get),
        Route("/v1/simulate", asking.simulate, methods=get),
        Route("/v1/clusters/{name}", overseeing.cluster, methods=get),
        Route("/v1/log/checkpoint", overseeing.checkpoint, methods=get),
        Route("/v1/log/proof", overseeing.proof, methods=get),
        Route("/v1/log/consistency", overseeing.consistency, methods=get),
        Route("/v1/log/entries", exporting.entries, methods=get),
        Route("/v1/log/dump", overseeing.dump, methods=get),
        Route("/v1/reports/{name}", reporting.report, methods=get),
        *([Route("/v1/hooks/{name}", hooks.take, methods=post)] if hooks is not None else ()),
        *(
            (
                Route("/v1/audit/findings", auditing.findings, methods=get),
                Route("/v1/audit/{name}", auditing.take, methods=post),
                Route("/v1/grants/{id}/use", auditing.use, methods=get),
            )
            if auditing is not None
            else ()
        ),
        *(signing_in.routes() if signing_in is not None else ()),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS)


def _withdraw(by: Person) -> Withdraw:
    return Withdraw(by=by)


def _activate(by: Person) -> Activate:
    return Activate(by=by)


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _described(_request: Request) -> Response:
    return written(document())
