"""Commands that operate or watch a running station."""
