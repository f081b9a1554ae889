"""Reproducible measurements of parts of the station, and of all of it: `qkd-gs bench`."""
