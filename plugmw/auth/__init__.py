"""Who is asking: consumers, their credentials, and where both come from."""
