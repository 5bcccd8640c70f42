"""What a configuration does, seen and tried without a server."""
