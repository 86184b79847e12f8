"""Runs as a person sees them: the run folder, progress, the report."""
