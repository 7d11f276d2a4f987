"""Tables and sentences of single tasks."""
