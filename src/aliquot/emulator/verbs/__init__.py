"""What is done for a `Call`: get and list (`reading`), watch, create, update, patch and apply (`writing`), delete.

Subresources with a will of their own have modules of their own.
"""
