"""What goes wrong with a database, as one line."""

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout

_NO_SUCH_TABLE = "42P01"
"""PostgreSQL's SQLSTATE."""


class Unusable(Exception):
    """The database cannot be used as it is. Its text is for people."""


class Unreachable(Exception):
    """The database does not answer, or takes nothing: nothing of what was asked has been done, or nobody knows."""


def explained(name: str, error: Exception) -> Exception:
    """Unreachable where the database itself is the cause, else the error."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or _is_its_fault(error):
            return Unreachable(f"{name}: {_first_line(error.orig)}")
        return error
    if isinstance(error, SQLAlchemyTimeout):
        return Unreachable(f"{name}: {_first_line(error)}")
    return error


def _is_its_fault(error: DBAPIError) -> bool:
    if isinstance(error, (OperationalError, InterfaceError, InternalError)):
        return True
    # A file that is damaged or none of SQLite's; a database in which there are no tables of ours any more.
    return type(error) is DatabaseError or getattr(error.orig, "sqlstate", None) == _NO_SUCH_TABLE


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
