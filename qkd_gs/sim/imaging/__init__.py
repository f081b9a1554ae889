"""Simulated camera images of beacon, stars and sky."""
