"""Answers about samples in one sentence, each with the numbers and intervals that it rests on."""
