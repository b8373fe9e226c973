"""Who is told what: chat, webhooks, mail. Nothing is decided by it, and nobody is let in or kept out by who was reached.

What people wrote in their own words goes to no channel unless an installation says so: channels have more readers than requests have.
"""
