"""The simulated world in a process of its own, and the drivers that talk to it."""
