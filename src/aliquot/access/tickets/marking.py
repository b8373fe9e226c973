"""A mark in each comment, by which it is seen that the comment is there already. It is made with the system's secret: else somebody
could write it beforehand, and our comment would never be written."""

import hashlib
import hmac

_CHARACTERS = 20


def mark(secret: str, ticket: str, text: str) -> str:
    """Of a text that names its grant."""
    digest = hmac.digest(secret.encode(), f"{ticket}\n{text}".encode(), hashlib.sha256).hex()
    return f"[aliquot {digest[:_CHARACTERS]}]"
