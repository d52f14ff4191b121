"""What a line is about to run, and whether a policy lets it: pure, and total on any input."""
