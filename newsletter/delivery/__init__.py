"""From an approved issue to an account of every reader: the ledger, the sender, the proof."""
