"""Pictures of the sliding puzzle.

Owns: the drawing (`puzzles.draw`) and its backgrounds, which `scripts/make_captcha_backgrounds.py` draws: pictures of
our own making, under the project's licence.
Entry points: `puzzles.draw`.
Must not know: rows, requests, and what a puzzle is for (identity.services.captcha does).
"""
