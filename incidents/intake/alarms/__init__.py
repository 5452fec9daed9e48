"""Alarms in: read (`formats`, `levels`), taken at the door (`door`, `reception`), acted on (`record`)."""
