"""What a request asks for, and as what it is authorized.

Both follow from its first line alone, and the same few come again and again: polls, watches, the objects that a
controller looks after. They are worked out once for each.
"""

from functools import lru_cache

from aliquot.emulator.field_selectors import Term, field_terms
from aliquot.emulator.http.request import Request, parse
from aliquot.emulator.rbac import Attributes
from aliquot.kube.selectors import SelectorError

_OF_MANY = ("list", "watch", "deletecollection")
_LONGEST_REMEMBERED = 512
_REMEMBERED = 2048


def understood(method: str, path: str, query: str) -> tuple[Request, Attributes]:
    if len(path) + len(query) > _LONGEST_REMEMBERED:
        return _worked_out(method, path, query)
    return _remembered(method, path, query)


def _worked_out(method: str, path: str, query: str) -> tuple[Request, Attributes]:
    request = parse(method, path, query)
    return request, _attributes(request)


_remembered = lru_cache(maxsize=_REMEMBERED)(_worked_out)


def _attributes(request: Request) -> Attributes:
    return Attributes(
        verb=request.verb,
        group=request.group,
        version=request.version,
        resource=request.plural,
        subresource=request.subresource,
        namespace=request.namespace,
        name=request.name,
        path=request.path,
        fields=_selected(request.query.text("fieldSelector")) if request.verb in _OF_MANY else (),
    )


def _selected(field_selector: str) -> tuple[Term, ...]:
    """One that cannot be read narrows nothing; it is refused by who answers the request."""
    try:
        return tuple(field_terms(field_selector))
    except SelectorError:
        return ()
