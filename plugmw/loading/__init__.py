"""Files that plugins and settings are read from: what they were, and whose turn it is to write them."""
