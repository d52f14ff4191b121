"""The demo: a broker, a target with a real shell and seeded users, in one temporary folder."""
