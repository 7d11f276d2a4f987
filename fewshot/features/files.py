"""Names of the files in a bank's folder."""

FEATURES, LABELS, PATHS, NOTE = "features.npy", "labels.npy", "paths.arrow", "bank.json"
