"""The real issue to invented readers, through faults and kills, before it goes to real ones."""
