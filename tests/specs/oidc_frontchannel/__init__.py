"""Black-box tests, by document."""
