"""What a person sees while a command goes, and at its end."""
