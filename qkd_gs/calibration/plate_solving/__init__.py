"""Direction of the telescope from the stars that the guiding camera sees, without any star centred by hand."""
