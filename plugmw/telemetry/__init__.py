"""What a request leaves behind: the log entry, the queue, the sinks, trace contexts."""
