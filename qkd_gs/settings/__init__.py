"""Configuration files as validated settings; an error names file, line and key."""
