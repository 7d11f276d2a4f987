"""Calibration of predicted errors on base classes and on other data sets."""
