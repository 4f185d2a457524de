"""The verbs that do something with a run that exists, one file each; a verb is a function of its own name."""
