"""What several test files need: real servers, a raw-socket client, WSGI apps of every kind."""
