"""Orbits given as tables of positions: segments, how they are joined, and their interpolation."""
