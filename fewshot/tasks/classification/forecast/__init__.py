"""Forecasts of the error on a task of a few labelled images, and what follows from them."""
