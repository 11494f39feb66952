"""What is wrong with machines, and what helps."""
