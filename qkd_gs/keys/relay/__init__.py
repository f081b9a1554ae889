"""Keys of two stations joined by the satellite that shares a key with each (trusted relay)."""
