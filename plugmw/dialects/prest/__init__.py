"""The contract of prestd: functions served from a folder, and its middleware plugins."""
