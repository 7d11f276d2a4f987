"""Choice of hyper-parameters on base or validation classes."""
