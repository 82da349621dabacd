"""What is installed: the wheel, the source distribution, the plugin."""
