"""What an organisation's webhooks hear of: every public event once, cut to its own, and nothing internal."""
