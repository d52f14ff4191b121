"""The control protocol: typed, versioned messages in msgpack frames over a Unix socket.

A leaf: it knows nothing of the broker's model, so the TUI can use it without seeing anything else.
`messages` are the types, `codec` turns them into bytes and back, `client` asks.
"""
