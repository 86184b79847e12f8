"""What is kept: folders, logs, results, reports."""
