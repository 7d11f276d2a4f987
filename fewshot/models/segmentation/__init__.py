"""Segmentation models to take away: a dense head with its network and its predicted mIoU."""
