"""The firewall of the overlay: what is wanted, its rules as text, and who keeps them loaded."""
