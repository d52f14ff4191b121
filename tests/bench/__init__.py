"""Speed, as ratios to a direct connection in the same run; never asserted in a test."""
