"""Stock clients that drive a real server: processes and helpers to start them."""
