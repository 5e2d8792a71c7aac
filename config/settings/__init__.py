"""Settings: `base` holds every one; `dev`, `test` and `prod` read the environment and say what differs."""
