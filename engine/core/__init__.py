"""Pure vocabulary: model, errors, references, ids, names, units, filters. Imports nothing of ours."""
