"""The independent safety supervisor and the Sun avoidance."""
