"""Independent safety supervisor and Sun avoidance."""
