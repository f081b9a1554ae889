"""What the commands share: output, progress, summaries, signals."""
