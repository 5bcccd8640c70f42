"""What every part of a gateway rests on: the process, time, and the call of user code."""
