"""The road of an exchange: its stations, the commands they await, the acts at its end."""
