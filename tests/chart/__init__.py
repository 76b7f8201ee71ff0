"""The Helm chart as Helm and Kubernetes see it, without a cluster."""
