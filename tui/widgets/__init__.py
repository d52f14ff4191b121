"""Small widgets that draw lines of cells; they know nothing of the protocol."""
