"""What candidates are worth: evaluators, exact ones and cheap ones."""
