"""Arrays → features: networks and augmentation, in plain PyTorch."""
