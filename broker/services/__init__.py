"""Use cases: log in, authorize, open and end sessions, list, read recordings. No sockets, no SQL."""
