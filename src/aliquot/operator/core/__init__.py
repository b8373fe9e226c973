"""Decisions about node software, over plain data: what belongs on which node, in which order, and how a driver is exchanged.

Nothing here knows of the API client, the clock or asyncio.
"""
