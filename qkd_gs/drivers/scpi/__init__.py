"""Lasers with SCPI commands as the station's beacon, through PyVISA."""
