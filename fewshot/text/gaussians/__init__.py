"""Gaussians of classes, predicted from texts about them."""
