"""One module per screen, plus what several screens share (`frame`) and the pure search (`matching`)."""
