"""Whoever takes a message from us: one interface, one module a provider."""
