"""Views of a running station: the scene in space, readiness in one sentence, the terminal view."""
