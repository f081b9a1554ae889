"""Readers of orbit data, one a format.

A reader yields every entry of a file in its order: an orbit, a segment of an ephemeris, or the `StationError` that says
why the entry is left out.
"""
