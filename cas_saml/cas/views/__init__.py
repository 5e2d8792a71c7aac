"""The CAS endpoints."""
