"""Networks from arrays to features, and augmentation, in plain PyTorch."""
