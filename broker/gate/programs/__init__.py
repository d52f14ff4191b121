"""What programs do with their arguments: facts about each, in tables."""
