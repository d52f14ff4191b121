"""The face: what a person sees in a terminal. It speaks the control protocol and knows nothing else.

Layers, top to bottom: zygote, cli, app and menu, screens, widgets, then link, keys and states.
"""
