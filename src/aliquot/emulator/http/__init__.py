"""The wire: connections within bounds, requests taken apart, bodies in JSON, YAML and protobuf, answers.

Knows no kinds and no rules.
"""
