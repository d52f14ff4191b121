"""The live session as a sans-IO core: events in, actions out; no socket, no clock, no await.

`events` is what can happen, `actions` what can be done about it, `core` the decisions between them. A thin
runner (`broker.relay.runner`) performs the actions strictly in order, so that nothing is sent that was not
first recorded.
"""
