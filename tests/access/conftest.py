from tests.access.databases import database_url, own_server, postgresql

__all__ = ["database_url", "own_server", "postgresql"]
