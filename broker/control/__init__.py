"""The control socket: what may be asked (`permits`), answers (`handlers`, `views`), the wire (`server`)."""
