"""Requests, grants and the log of them in SQL: SQLite for one server, PostgreSQL for several.

What is decided, what is to be done about it and what the log says of it are one transaction. Transactions that write come one after
the other, whatever the database and however many servers: so whoever counts grants counts all of them, and the log has one order.
"""
