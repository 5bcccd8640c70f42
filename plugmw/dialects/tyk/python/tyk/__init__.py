"""The module ``tyk`` of plugin code; other code does not find it under that name."""
