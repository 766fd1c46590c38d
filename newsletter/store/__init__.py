"""The tables, their states, the engine that opens them, and their history."""
