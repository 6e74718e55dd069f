"""A Kubernetes cluster on one machine: real components, a node being a set of namespaces."""
