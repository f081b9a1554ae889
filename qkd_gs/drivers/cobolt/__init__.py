"""Lasers with the serial command set of Cobolt as the station's beacon."""
