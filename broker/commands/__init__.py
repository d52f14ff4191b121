"""The verbs of the command line, one module per noun: arguments in, one call, words out."""
