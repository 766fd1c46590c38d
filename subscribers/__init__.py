"""The audience: who may be written to, on what ground, and who must not be.

A library for whoever sends mail: functions take a `Session` and `now` and return outcomes. It sends
nothing, reads no settings and knows nothing of newsletters.
"""
