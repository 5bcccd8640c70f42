"""Files and user code as they are read, and what they were."""
