"""From a view of an issue to the bytes of each reader's message. Pure: no database, no network."""
