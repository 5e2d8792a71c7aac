"""Headless Chromium, real relying parties and a real server, each in its own process."""
