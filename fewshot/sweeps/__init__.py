"""Multiruns: jobs, launchers, locks, records, tuning."""
