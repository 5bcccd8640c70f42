"""What plugin code gets for ``import tyk``; nobody else finds it under that name."""
