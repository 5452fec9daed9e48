"""The two hatches: inbound mail and alarms. Each thing is stored first, then read, then handed to a verb."""
