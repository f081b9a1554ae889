"""An independent auditor of a session's key; it shares no code with `qkd_gs.qkd`."""
