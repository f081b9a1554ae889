"""What a pass records: the run, its manifest and its statistics."""
