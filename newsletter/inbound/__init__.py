"""Mail about our mail: where it comes from, what it says, whose it is, what follows."""
