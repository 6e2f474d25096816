"""What every folder may use: random states, labels, files, reports of bad data."""
