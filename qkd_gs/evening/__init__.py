"""The evening's work: its steps from self-test to park, their order, and a journal that survives a restart."""
