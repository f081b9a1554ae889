"""A telescope that finds itself on the stars: images of a strip of sky, a plate solver, and the search."""
