"""The peer-to-peer layer: peers, paths, roots, relaying."""
