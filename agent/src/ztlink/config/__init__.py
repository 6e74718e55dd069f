"""The YAML that configures a node, in sections, and the settings that it means."""
