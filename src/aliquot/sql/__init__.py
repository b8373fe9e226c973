"""A database by its URL: `sqlite:///FILE` for one process, `postgresql://USER@HOST/NAME` for several.

Whatever is kept here is written by one transaction at a time, survives a power cut, and goes wrong in one line. Which tables there are is
the business of those who keep something.
"""
