"""Taking a network home: trained on, measured, checked."""
