"""Time tags, sealed tag files, PPS, the clock of the satellite, the gate."""
