"""`python -m coevo` is the command `coevo`."""

from coevo.cli import main

if __name__ == "__main__":  # workers import this module again under another name
    main()
