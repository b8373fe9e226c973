"""How long what lasts, as Kubernetes has it, and what that makes of an end.

A ServiceAccount's token is good for a while after it has run out: the API server lets it be 60 s late, and remembers for 10 s
that it was good. So one that is to be refused at the end has to run out before it. Sources: go-jose's default leeway, the API
server's token cache, TokenRequest's own lower bound; measured on Kubernetes 1.36.2.
"""

TOKEN_FLOOR_S = 600
"""Less is not given."""
LEEWAY_S = 60
CACHE_S = 10
MOST_SKEW_S = 5
"""Between our clock and the API server's; beyond it nothing is given."""
FORBIDDEN_S = 3607
"""Kubernetes takes it for a legacy client's and makes it a year."""
PREFERRED_S = 600
"""Of a credential that is asked for: short ones need no revocation."""

MARGIN_S = LEEWAY_S + CACHE_S + MOST_SKEW_S
SHORTEST_GRANT_S = TOKEN_FLOOR_S + MARGIN_S + 45
"""12 minutes: with less there would be no time to ask for a credential."""
WORST_AFTER_END_S = 0
"""Use of a credential after its grant's end, while clocks differ by no more than MOST_SKEW_S: it has been refused by then."""
WORST_AFTER_REVOKE_S = CACHE_S + MOST_SKEW_S
"""Once the Secret is deleted that the token is bound to."""


def lifetime_s(end_s: float | None, now_s: float) -> int:
    """Of a credential that is asked for now, so that nobody is let in by it past `end_s`; 0: none can be given any more. An end that
    is not known has passed."""
    if end_s is None:
        return 0
    left_s = int(end_s - now_s - MARGIN_S)
    if left_s < TOKEN_FLOOR_S:
        return 0
    return min(left_s, PREFERRED_S)


def is_too_long(expires_s: float, end_s: float | None) -> bool:
    """Of what was given: the API server may give something else than was asked for."""
    return end_s is None or expires_s + MARGIN_S > end_s
