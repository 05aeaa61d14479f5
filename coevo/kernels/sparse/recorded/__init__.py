"""Work whose launches are the same in every call: written down once, planned into one piece of memory, replayed."""
