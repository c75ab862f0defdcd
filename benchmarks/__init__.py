"""Models built from seeds, the engines to compare with, and the tables made of both."""
