"""The transparency log, pure: tree, proofs, notes, tiles, entries. No clock, keys or storage here."""
