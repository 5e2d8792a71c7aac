"""The wire form of each noun: what is read, what is written, and their schema."""
