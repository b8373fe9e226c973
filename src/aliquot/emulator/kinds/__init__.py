"""Facts about single kinds that several parts need: pure functions over their objects."""
