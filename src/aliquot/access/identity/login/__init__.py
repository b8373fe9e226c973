"""Signing in from a terminal at an OpenID Connect provider: in a browser on the same machine, or with a code on any other."""
