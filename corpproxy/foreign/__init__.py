"""Configurations of other proxies, read and written anew as a policy; nothing here touches the disk."""
