"""Commands that measure parts of the station."""
