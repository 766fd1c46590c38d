"""What comes back from readers' mail: stored links to follow, and facts to keep."""
