"""Observations between two passes: where the telescope looks, what the light of stars and sky is, and the focus."""
