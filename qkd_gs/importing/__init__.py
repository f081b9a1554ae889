"""A session from a file of tags that another program has recorded."""
