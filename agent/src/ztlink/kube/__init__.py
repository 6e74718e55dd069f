"""The API of a Kubernetes cluster, and what is made in it."""
