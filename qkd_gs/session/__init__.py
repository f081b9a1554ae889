"""A recorded pass on disk: manifest, telemetry, names of the tag files; no secret."""
