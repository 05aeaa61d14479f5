"""Text as a transformer reads it: captions of a closed vocabulary, encoded here, or Gemma-2 where its weights are."""
