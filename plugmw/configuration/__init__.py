"""A gateway's configuration: its shape, and a document read as the plan of a gateway."""
