"""Taking a design home: its files, reading them back, and its drawing."""
