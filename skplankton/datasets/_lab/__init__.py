"""Folders of images and profiles with an annotations.csv → particle table, and back."""
