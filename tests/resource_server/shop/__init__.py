"""An app that somebody adds to the project: it protects its views with the toolkit's own tools (docs/extending.md)."""
