"""Implementations of the ports: SQLite, the vault, the certificate authority, the clock.

Only `broker.app` and the admin commands name them. Foreign exceptions are translated here.
"""
