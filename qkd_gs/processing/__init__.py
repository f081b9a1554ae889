"""One session from sealed tags to a stored key."""
