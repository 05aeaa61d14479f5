"""Design spaces, a package each. Search finds them by the entry-point group `coevo.spaces`, never by an import."""
