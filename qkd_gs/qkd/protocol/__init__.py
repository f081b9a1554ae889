"""The protocol run: ground side, satellite side, their messages and their results."""
