"""The pages and endpoints readers come back to, and the editor's preview on loopback."""
