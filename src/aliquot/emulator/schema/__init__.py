"""What each kind looks like: fields, defaults, rules, OpenAPI documents.

Built-in kinds come from package data by Kubernetes version, custom ones from their CRDs.
Pure functions over JSON values; nothing here reads a store, a clock or the network.
"""
