"""What leaves the process about requests: entries that wait, and the queues that send them."""
