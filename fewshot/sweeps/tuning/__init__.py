"""Hyper-parameters, chosen on classes that are not the judged ones."""
