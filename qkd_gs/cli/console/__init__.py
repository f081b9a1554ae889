"""Shared parts of the commands: output, progress, summaries, signals."""
