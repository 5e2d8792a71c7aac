"""The endpoints: HTTP turned into one call and one answer. No rows, no test of the dialect's name."""
