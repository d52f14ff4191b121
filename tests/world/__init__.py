"""Real parts for tests: OpenSSH servers and clients, terminals, tmux, accounts, and the broker as a process.

Everything listens on 127.0.0.1 on a free port, lives in one short-named temporary folder, and is ended by
its process id. Waiting is for an event or a state, with a deadline; nothing sleeps a fixed time.
"""
