"""What the publication says and when: comparisons, which of them make a week, and their store."""
