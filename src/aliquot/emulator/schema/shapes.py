"""The tree of types behind a kind, compiled once from OpenAPI, shared by decoding, patching and validation."""


class Shape:
    """One node of the tree: an object, a map, a list or a scalar, with its list and merge keys."""
