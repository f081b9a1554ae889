"""The simulated world in its own process, and the drivers that connect to it."""
