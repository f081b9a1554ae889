"""Commands that make, process, replay or repair a session."""
