"""Providers of others that can be measured beside Monban, each with a folder of its own."""
