"""Many runs: multirun, launchers, locks, records, tuning."""
