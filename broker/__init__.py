"""The session broker: logs people in, judges what they ask for, relays and records it.

Read `ARCHITECTURE.md` first. Layers, top to bottom: cli, commands, demo, app, relay and control (I/O),
services and adapters, ports, session (sans-IO core), gate and policy, config and wire, model.
"""
