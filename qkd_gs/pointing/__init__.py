"""From an apparent direction to encoder angles: pointing model, plan of a pass, polarization."""
