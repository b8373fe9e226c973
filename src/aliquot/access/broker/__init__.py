"""The service: takes what people ask and say, decides by `core`, writes down in `store`, and carries out what follows.

Nothing is done outside the database that is not in its log first, and nothing that is in its outbox is forgotten: whoever dies anywhere
is carried on from there.
"""
