"""Tokens of OpenID Connect issuers: found by discovery, signed by one of their keys, for us, and not over."""
