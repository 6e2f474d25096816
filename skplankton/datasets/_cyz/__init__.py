"""CytoSense measurements as JSON → particle table, and back."""
